# syntax=docker/dockerfile:1

# The compiler of rust-toolchain.toml, which is not copied: rustup would fetch clippy and rustfmt for it.
FROM rust:1.95.0-slim-trixie AS build

# jemalloc is built by make; Debian's one and the compiler are all that its script asks for.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# Dependencies alone, around an empty program, so that a change in src/ does not compile them again. Benchmarks and
# tests, which stand last in the manifest, are cut off: they are not built here, and cargo would look for their files.
# `.cargo/config.toml` goes before everything, because frame pointers have to be in the dependencies too.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
RUN sed -i '/^\[\[/,$d' Cargo.toml \
    && mkdir src \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked --bin glasshouse

# Cargo compares times, and files of the repository are older than what was just built from empty ones.
COPY build.rs ./
COPY migrations migrations
COPY src src
ARG REVISION=unknown
RUN touch build.rs src/main.rs src/lib.rs \
    && BUILD_REVISION="$REVISION" cargo build --release --locked --bin glasshouse \
    && mkdir data

# The C library, certificates and nothing else: no shell, no package manager. Its tags move, so it is named by digest.
FROM gcr.io/distroless/cc-debian13:nonroot@sha256:54df941ed0d06a1bd95ef5e0ce391fd8d9f94b64782dc9a60062727849ee3f97

# With its symbols and line tables: without them, a profile of the running service has no names.
COPY --from=build /build/target/release/glasshouse /usr/local/bin/glasshouse

# What is kept, where the settings look for it: the database if it is SQLite, and the signing key that development
# makes.
WORKDIR /var/lib/glasshouse
COPY --from=build --chown=65532:65532 /build/data data

# By number, so that an orchestrator can see that it is not root.
USER 65532:65532

# Only the public port can be reached from outside; the internal one stays on loopback until it is given a token.
ENV GLASSHOUSE_HTTP__LISTEN=0.0.0.0:8080
EXPOSE 8080 6060

STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s --retries=3 \
    CMD ["/usr/local/bin/glasshouse", "health"]
ENTRYPOINT ["/usr/local/bin/glasshouse"]

ARG REVISION=unknown
LABEL org.opencontainers.image.title="glasshouse" \
    org.opencontainers.image.description="A user API that is observed and operated as a production service should be" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.revision="$REVISION"
