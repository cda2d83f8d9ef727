# The commands of the project. They need cargo, python3 (3.10 or later, with pip), make and the registries of
# crates and of Python packages; nothing else first. What Python needs is put under target/python.
# `make` alone lists them.

CARGO ?= cargo
PYTHON ?= python3
# The lock file is committed, and what it says is what is built.
LOCKED := --locked
# Everything that is checked is built in Cargo's `dev` profile, so that the tree is built once.
CHECKED := $(LOCKED) --workspace
MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

.DEFAULT_GOAL := help
# Cargo uses all cores by itself, and the tests' verdict must be the last thing on the screen.
.NOTPARALLEL:
.PHONY: help browser demo demo-rust demo-python test test-rust test-python test-dask test-dask-processes test-dask-versions bench bench-python bench-processes lint lint-python python-environment python-environment-dev soak fmt fmt-check clippy doc deny advisories msrv

help: ## List the commands.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "make %-12s %s\n", $$1, $$2 }'

demo: demo-rust demo-python ## Run the main job: a year of flights through graphs, hooks and the cache; in Rust, then with Dask.

demo-rust:
	$(CARGO) run $(LOCKED) --release --example flights

demo-python: python-environment
	@for example in dask_on_ray timer_callback presubmit_callback simple_cache flights; do \
		echo "$(NEWEST) python/examples/$$example.py" && $(NEWEST) python/examples/$$example.py || exit 1; \
	done

test: test-rust test-python ## Run everything that must pass.

# The Python package's own crate is tested from Python.
test-rust: fmt-check clippy doc ## Test the crate.
	$(CARGO) test $(LOCKED) --all-features

test-python: python-environment-dev browser lint-python ## Test the Python package, then the scheduler by Dask's own tests of schedulers.
	$(NEWEST) -m pytest -q -c python/pyproject.toml python/tests
	$(NEWEST) -m pytest -q -c python/pyproject.toml --doctest-modules --pyargs mobula
	$(NEWEST) python/tools/dask_suite.py --quick

test-dask: python-environment ## Run all of Dask's own tests on Mobula and on Dask's threads.
	$(NEWEST) python/tools/dask_suite.py --runslow

test-dask-processes: python-environment ## Run Dask's own tests of collections on worker processes and on Dask's threads.
	$(NEWEST) python/tools/dask_suite.py --workers processes delayed bag dataframe

test-dask-versions: ## Test the package against the oldest, a middle and the newest Dask.
	@for version in oldest middle newest; do \
		$(ENVIRONMENT) --dask $$version && \
		target/python/$$version/bin/python -m pytest -q -c python/pyproject.toml python/tests && \
		target/python/$$version/bin/python python/tools/dask_suite.py --quick || exit 1; \
	done

soak: python-environment ## Run two thousand graphs in worker processes that are killed now and then; nothing may grow.
	MOBULA_SOAK_RUNS=2000 $(NEWEST) -m pytest -q -c python/pyproject.toml python/tests/test_processes_soak.py

bench: ## Measure the cost of a task beside the peers; writes benches/README.md and results.json.
	$(CARGO) bench $(LOCKED) --bench overhead

bench-python: python-environment ## Measure the Python package beside Dask's schedulers; writes python/benches/README.md.
	$(NEWEST) python/benches/overhead.py

bench-processes: ## Measure worker processes beside Dask's, distributed and Ray; writes python/benches/PROCESSES.md.
	$(ENVIRONMENT) --dask bench
	target/python/bench/bin/python python/benches/processes.py

lint: fmt-check clippy deny python-environment-dev lint-python ## Check format, lints and the dependencies' licences and sources.

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

# The newest Dask, and the others that are tested, each with the package built from this tree.
ENVIRONMENT := $(PYTHON) python/tools/environment.py
NEWEST := target/python/newest/bin/python

python-environment:
	$(ENVIRONMENT)

# The same with the package built as the crate's tests are: in little time, and with assertions on.
python-environment-dev:
	$(ENVIRONMENT) --profile dev

# For the tests of pages.
browser:
	$(PYTHON) python/tools/browser.py

lint-python:
	cd python && ../$(NEWEST) -m ruff format --check . && ../$(NEWEST) -m ruff check .
	cd python && ../$(NEWEST) -m mypy --config-file pyproject.toml mobula
	$(NEWEST) -m mypy.stubtest mobula._core

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
		echo "clippy is not installed (rustup component add clippy)" && \
		echo "$(CARGO) check $(CHECKED) --all-targets" && \
		$(CARGO) check $(CHECKED) --all-targets; \
	fi

deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		echo "$(CARGO) deny $(LOCKED) check bans licenses sources" && \
		$(CARGO) deny $(LOCKED) check bans licenses sources; \
	else \
		echo "skipped: cargo-deny is not installed (cargo install cargo-deny --locked)"; \
	fi
