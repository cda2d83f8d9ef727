# The commands of the project. They need cargo, make and the crate registry; nothing else first.
# `make` alone lists them.

CARGO ?= cargo
# The lock file is committed, and what it says is what is built.
LOCKED := --locked
# Everything that is checked is built in Cargo's `dev` profile, so that the tree is built once.
CHECKED := $(LOCKED) --workspace
MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

.DEFAULT_GOAL := help
# Cargo uses all cores by itself, and the tests' verdict must be the last thing on the screen.
.NOTPARALLEL:
.PHONY: help demo test bench lint fmt fmt-check clippy doc bench-check deny advisories msrv

help: ## List the commands.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "make %-12s %s\n", $$1, $$2 }'

demo: ## Run the main job: a year of flights through graphs, hooks and the cache.
	$(CARGO) run $(LOCKED) --release --example flights

test: fmt-check clippy doc bench-check ## Run everything that must pass.
	$(CARGO) test $(CHECKED)

bench: ## Measure the cost of a task beside the peers; writes benches/README.md and results.json.
	$(CARGO) bench $(LOCKED) --bench overhead

lint: fmt-check clippy deny ## Check format, lints and the dependencies' licences and sources.

fmt: ## Format the code.
	$(CARGO) fmt --all

doc: ## Build the documentation; a warning is an error.
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(CHECKED) --no-deps

msrv: ## Check that the promised Rust version builds the crate, where rustup has it.
	@if $(CARGO) +$(MSRV) --version >/dev/null 2>&1; then \
		$(CARGO) +$(MSRV) check $(CHECKED) --all-targets --target-dir target/msrv; \
	else \
		echo "skipped: Rust $(MSRV) is not installed (rustup toolchain install $(MSRV))"; \
	fi

advisories: ## Ask the advisory database about the dependencies; needs cargo-deny and the network.
	$(CARGO) deny $(LOCKED) check advisories

# The steps of the commands above.

fmt-check:
	@if $(CARGO) fmt --version >/dev/null 2>&1; then \
		echo "$(CARGO) fmt --all --check" && $(CARGO) fmt --all --check; \
	else \
		echo "skipped: rustfmt is not installed (rustup component add rustfmt)"; \
	fi

clippy:
	@if $(CARGO) clippy --version >/dev/null 2>&1; then \
		echo "$(CARGO) clippy $(CHECKED) --all-targets -- -D warnings" && \
		$(CARGO) clippy $(CHECKED) --all-targets -- -D warnings; \
	else \
		echo "skipped: clippy is not installed (rustup component add clippy)"; \
	fi

# Benches are linked here, not measured: measuring builds them again, optimised.
bench-check:
	$(CARGO) bench $(CHECKED) --no-run --profile dev

deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		echo "$(CARGO) deny $(LOCKED) check bans licenses sources" && \
		$(CARGO) deny $(LOCKED) check bans licenses sources; \
	else \
		echo "skipped: cargo-deny is not installed (cargo install cargo-deny --locked)"; \
	fi
