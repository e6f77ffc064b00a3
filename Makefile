# Everything that a person or CI does here has a name. `make help` lists them.

# A RUSTFLAGS in the environment drops the flags of .cargo/config.toml, so warnings are denied behind `--` instead.
DENY_WARNINGS = -- -D warnings

# Handed on as they were given: scripts/rename says what a name may be, loadtest/ what profiles there are.
export NAME PROFILE FAULT SCALE SOAK

.DEFAULT_GOAL := help
.PHONY: help run test check bench bench-peers fmt golden rename load stack stack-local gameday

help: ## lists these names
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

run: ## starts the service, with nothing else installed
	cargo run --locked

# These mostly wait, so that twice as many as there are cores can run at once; all others keep the cores busy themselves.
PATIENT = chaos process profiles service store
BUSY = $(filter-out model $(PATIENT),$(notdir $(patsubst %/,%,$(dir $(wildcard tests/*/main.rs)))))

test: ## runs every test, on SQLite and on a real PostgreSQL, with what that needs, and two minutes of fuzzing
	scripts/test-setup
	cargo test --locked --manifest-path tests/model/Cargo.toml --target-dir target/model
	RUST_TEST_THREADS=$$((2 * $$(getconf _NPROCESSORS_ONLN))) cargo test --locked --lib $(PATIENT:%=--test %)
	cargo test --locked --bins $(BUSY:%=--test %)
	cargo test --locked --doc
	scripts/fuzz 120

check: ## everything that can be said without running the service: format, lints, documentation, dependencies
	cargo fmt --check
	cargo fmt --check --manifest-path tests/model/Cargo.toml
	cargo fmt --check --manifest-path benches/peers/rust/Cargo.toml
	cargo clippy --locked --all-targets $(DENY_WARNINGS)
	cargo rustdoc --locked --lib $(DENY_WARNINGS)
	scripts/deny

bench: ## measures the request path, token checking, password hashing, the cost of telemetry, and five times too much load
	cargo bench --locked

# The peers are built as their users would: without the flags of .cargo/config.toml.
bench-peers: ## measures the service beside other programs, and under too much load: make bench-peers TABLES="cost goodput rest"
	RUSTFLAGS= cargo build --locked --release --manifest-path benches/peers/rust/Cargo.toml --target-dir target/peers
	cd benches/peers/go && go build -o ../../../target/peers/go .
	cargo bench --locked --bench peers -- $(or $(TABLES),cost goodput rest)

fmt: ## formats the code
	cargo fmt
	cargo fmt --manifest-path benches/peers/rust/Cargo.toml

golden: ## rewrites tests/golden and the other files that tests compare with what the program says
	UPDATE_GOLDEN=1 cargo test --locked --no-fail-fast

rename: ## gives a fork its own name everywhere: make rename NAME=night_watch
	scripts/rename "$$NAME"

# k6 asks nobody on the network for anything but what it puts load on.
load: export K6_NO_USAGE_REPORT = true
load: export K6_AUTO_EXTENSION_RESOLUTION = false
load: ## puts load on localhost:8080 and judges it by the objectives: make load PROFILE=average
	@mkdir -p target/load
	PATH="$$PATH:$(CURDIR)/target/tools/bin" SUMMARY_DIR=target/load k6 run loadtest/users.ts

stack: ## starts the service in containers, with everything that it is observed with
	scripts/stack

stack-local: ## the same without containers, as far as that goes: PostgreSQL, Prometheus, Alertmanager, until Ctrl-C
	scripts/test-setup
	cargo test --locked --quiet --test gameday -- --stack

gameday: ## breaks something under load and follows its alerts: make gameday FAULT=database-down SCALE=60, or SOAK=30m
	scripts/test-setup
	cargo test --locked --quiet --test gameday -- \
		$(if $(SOAK),--soak "$$SOAK",--fault "$${FAULT:-all}" --scale "$${SCALE:-60}")
