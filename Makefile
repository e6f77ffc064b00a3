# Everything that a person or CI does here has a name. `make help` lists them.

# A RUSTFLAGS in the environment drops the flags of .cargo/config.toml, so warnings are denied behind `--` instead.
DENY_WARNINGS = -- -D warnings

# Handed on as it was given: scripts/rename says what a name may be.
export NAME

.DEFAULT_GOAL := help
.PHONY: help run test check bench fmt golden rename stack

help: ## lists these names
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

run: ## starts the service, with nothing else installed
	cargo run --locked

test: ## runs every test, on SQLite and on a real PostgreSQL, with what that needs
	scripts/test-setup
	cargo test --locked

check: ## everything that can be said without running the service: format, lints, documentation, dependencies
	cargo fmt --check
	cargo clippy --locked --all-targets $(DENY_WARNINGS)
	cargo rustdoc --locked --lib $(DENY_WARNINGS)
	scripts/deny

bench: ## measures the request path, token checking, password hashing and the cost of telemetry
	cargo bench --locked

fmt: ## formats the code
	cargo fmt

golden: ## rewrites tests/golden and the other files that tests compare with what the program says
	UPDATE_GOLDEN=1 cargo test --locked --no-fail-fast

rename: ## gives a fork its own name everywhere: make rename NAME=night_watch
	scripts/rename "$$NAME"

stack: ## starts the service in containers, with everything that it is observed with
	scripts/stack
