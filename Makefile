# The recipes that people and CI share. `make help` lists them; each sets up what it lacks.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Outside the checkout, so that every clone on a machine (and CI) shares the compiled dependencies.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/springhouse/target
# rustup puts cargo here; a shell that was open before the installation does not know it yet.
export PATH := $(HOME)/.cargo/bin:$(PATH)
export CARGO_TERM_COLOR ?= $(if $(CI),never,auto)

BIN := $(CARGO_TARGET_DIR)/debug/springhouse
RELEASE := $(CARGO_TARGET_DIR)/release/springhouse
STAGE := scripts/stage.sh
ARGS ?=
CONTAINER ?= docker

.PHONY: help demo build release test test-rust test-web test-browser ci fmt fmt-check lint web web-check \
        bench soak paho real-input fuzz-replay image archive licences clean setup

help: ## list the recipes
	@echo "Springhouse: the recipes (first build: about half an hour on two cores, afterwards seconds)"
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: ## install what building and testing needs (apt only as root or with sudo that asks nothing)
	@scripts/setup.sh test

demo: ## build and start a hub with 50 simulated homes; prints the page's link (ARGS="--homes 200")
	@scripts/setup.sh build
	@$(MAKE) web build
	@exec "$(BIN)" demo $(ARGS)

build: ## build the program (debug profile, dependencies optimized)
	@scripts/before-build.sh
	@cargo build --bin springhouse

release: ## build the optimized program
	@scripts/setup.sh build
	@$(MAKE) web
	@scripts/before-build.sh release
	@cargo build --release --locked --bin springhouse
	@ls -lh "$(RELEASE)"

test: ## all tests: Rust, the page, and the page in a browser
	@scripts/setup.sh test
	@$(STAGE) web-build $(MAKE) web
	@$(STAGE) test-rust $(MAKE) test-rust
	@$(STAGE) test-web $(MAKE) test-web
	@$(STAGE) test-browser $(MAKE) test-browser

test-rust: ## the Rust tests, with nextest where it is installed
	@scripts/before-build.sh
	@cargo build --workspace --bins
	@if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --workspace --no-fail-fast $(ARGS); \
	 else cargo test --workspace --lib --bins --tests --no-fail-fast $(ARGS); fi

test-web: ## the page's unit tests
	@scripts/web.sh test

test-browser: ## the page against a real hub in headless Chromium
	@scripts/web.sh e2e

ci: ## what CI runs: format, lint, all tests, the page's checks, the shape of the repository
	@$(STAGE) format $(MAKE) fmt-check
	@$(STAGE) web-check $(MAKE) web-check
	@$(STAGE) lint $(MAKE) lint
	@$(MAKE) test

fmt: ## format the Rust code
	@cargo fmt --all

fmt-check:
	@cargo fmt --all --check

lint: ## clippy without warnings
	@scripts/before-build.sh
	@cargo clippy --workspace --all-targets -- -D warnings

web: ## build the page that is embedded in the program
	@scripts/web.sh build

web-check: ## the page's types, lint and build
	@scripts/web.sh check

bench: ## measure beside other systems in one run; writes docs/benchmarks.md (ARGS=--flink: Flink too, installed)
	@scripts/setup.sh bench
	@$(MAKE) release
	@bench/run.sh $(ARGS)

soak: ## a hub killed, stopped and changed under load, its pipelines compared with history (MINUTES=10 SEED=1)
	@scripts/setup.sh bench
	@$(MAKE) release
	@bench/run.sh soak --minutes $(or $(MINUTES),10) --seed $(or $(SEED),1)

paho: ## Eclipse Paho's interoperability suite against a hub (PAHO_TESTING=checkout of paho.mqtt.testing)
	@$(MAKE) build
	@scripts/paho.sh

real-input: ## recordings through mosquitto_pub and Paho, pipeline against batch query (RECORDINGS=folder)
	@scripts/setup.sh test
	@$(MAKE) build
	@scripts/real-input.sh "$(RECORDINGS)"

docs: ## write docs/reference/functions.md from what the functions say of themselves
	@SPRINGHOUSE_WRITE_DOCS=1 cargo test -p springhouse-engine --test it reference::

fuzz-replay: ## replay the fuzz corpora (also part of `make test`)
	@cargo test --workspace --lib --tests corpus

licences: ## check licences and advisories of the dependencies (needs cargo-deny)
	@cargo deny check

image: ## build the container image springhouse:VERSION (CONTAINER=podman or buildah instead of docker)
	@$(CONTAINER) build -t springhouse:$$(scripts/version.sh) -t springhouse:latest .

archive: ## release archive with program, page, unit, licence
	@$(MAKE) release
	@scripts/archive.sh "$(RELEASE)"

clean: ## remove what the recipes put into the checkout (not the shared target directory)
	@rm -rf web/dist web/node_modules dist springhouse-data
