# Nox on one machine. `make` alone lists what there is; CI runs .ci/run.

TARGET := $(or $(CARGO_TARGET_DIR),target)
NOXCTL := $(TARGET)/debug/noxctl

# Where `make up` keeps its data; NOX_HTTP_ADDR says where it listens.
export NOX_DATA ?= .nox/data

.DEFAULT_GOAL := help
.PHONY: help setup console demo up test python operations browser fuzz coverage kills zombies sleep engines leaders escapes mixed check release lists bench judge processes profile clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## bring nats-server, Postgres and xtb within reach
	@libs/devkit/setup.sh

console: ## build the console for browsers; the next build of Nox has it
	@libs/devkit/setup.sh console

demo: setup console ## start all of Nox, run a few jobs, show what came of them, stop
	cargo build -p noxctl --locked
	$(NOXCTL) demo

up: setup console ## start all of Nox and keep it running until Ctrl-C
	cargo build -p noxctl --locked
	$(NOXCTL) dev

# Tests wait for half of their time.
TEST_THREADS = $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 3 / 2 )))

test: setup ## every test, against real servers
	@libs/devkit/setup.sh clients
	cargo build --workspace --bins --locked
	@if cargo nextest --version >/dev/null 2>&1; then \
		set -x; cargo nextest run --workspace --locked --test-threads $(TEST_THREADS); \
	else \
		set -x; cargo test --workspace --all-targets --locked -- --test-threads=1; \
	fi

python: setup ## the Python client: its types, and its tests against a system of their own; ARGS='-k map …' chooses
	@libs/devkit/setup.sh nox-client
	cargo build -p noxctl --locked
	cd clients/python && export PYTHONPATH=$(abspath $(or $(NOX_TOOLS),.nox/tools))/nox-client PYTHONDONTWRITEBYTECODE=1 && \
		python3 -m black --check --quiet . && python3 -m mypy --cache-dir /dev/null && \
		NOX_BIN=$(abspath $(TARGET))/debug python3 -m pytest -p no:cacheprovider -q $(ARGS)

operations: setup ## what operators start from: compose, alerts, dashboards, units, chart; ARGS='-k metrics …' chooses
	@libs/devkit/setup.sh operations
	cargo build --workspace --bins --locked
	cd deploy/tests && export PYTHONPATH=$(abspath $(or $(NOX_TOOLS),.nox/tools))/operations PYTHONDONTWRITEBYTECODE=1 && \
		NOX_BIN=$(abspath $(TARGET))/debug python3 -m pytest -p no:cacheprovider -q $(ARGS)

browser: setup console ## the console in a real browser, against a real Nox; NOX_PICTURES=1 takes its pictures anew
	@libs/devkit/setup.sh browser
	cargo build -p noxctl --locked
	cd web && npm run check && npm test && npx playwright test

fuzz: setup ## N (2000) requests that the description of the API allows, or does not, as user and as admin
	@libs/devkit/setup.sh checkers
	cargo build --workspace --bins --locked
	NOX_TEST_API_CASES=$(or $(N),2000) cargo test -p nox-testkit --locked --test it -- system::fuzz --nocapture

coverage: setup ## which lines of services and libs the tests run, crate by crate; builds everything once more
	@libs/devkit/setup.sh clients
	libs/devkit/coverage.sh

kills: ## the kill test N times (50), each with a new seed; stops at the first that finds something
	cargo build --workspace --bins --locked
	@for run in $$(seq $(or $(N),50)); do \
		echo "kill test $$run of $(or $(N),50)"; \
		cargo nextest run --workspace --locked --no-capture \
			-E 'package(nox-testkit) & test(nothing_is_lost_or_done_twice_however_often)' || exit 1; \
	done

zombies: ## a hundred executors that go on after they were given up; some ten minutes
	cargo build --workspace --bins --locked
	NOX_TEST_ZOMBIES=100 cargo test -p nox-testkit --locked --test it -- system::zombies --nocapture

sleep: ## a machine whose processes stand still for ten minutes
	cargo build --workspace --bins --locked
	NOX_TEST_SLEEP_S=600 cargo test -p nox-testkit --locked --test it -- system::slept_machine --nocapture

engines: setup ## a thousand single points with xtb, through two executors of which one is killed
	cargo build --workspace --bins --locked
	NOX_TEST_SINGLE_POINTS=1000 cargo test -p nox-testkit --locked --test it -- system::engines --nocapture

leaders: ## twenty kills of leaders, schedulers and brokers in turns, on three replicas; some minutes
	cargo build --workspace --bins --locked
	cargo test -p nox-testkit --locked --test it in_twenty_kills_of_leaders -- --ignored --nocapture

escapes: ## 300 cancels and time-outs of misbehaving jobs, every escape attempt, and what succeeds without each layer
	cargo build --workspace --bins --locked
	NOX_TEST_STOPS=300 cargo test -p nox-executor --locked --test it -- escapes:: stops:: --include-ignored --nocapture --test-threads=1

mixed: setup ## a rolling upgrade from an earlier commit (HEAD~1, or COMMIT=…) and a step back, under load; builds both
	libs/devkit/mixed.sh $(or $(COMMIT),HEAD~1)

check: ## formatting, lints, layering, licences, documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo check -p nox-store --features s3 --locked
	cargo test -p nox-devkit --test it --locked -- hygiene
	@libs/devkit/setup.sh checkers
	PYTHONPATH=$${NOX_TOOLS:-.nox/tools}/checkers python3 -m openapi_spec_validator docs/openapi.json
	PYTHONPATH=$${NOX_TOOLS:-.nox/tools}/checkers python3 -W ignore -c \
		'import asyncapi3; asyncapi3.AsyncAPI3.model_validate_json(open("docs/asyncapi.json").read())'
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

release: console ## build every program for production, into target/release
	cargo build -p noxctl -p nox-gateway -p nox-scheduler -p nox-executor -p nox-projector -p nox-notifier \
		--release --locked --features nox-service/jemalloc

bench: setup release ## how fast it is here, built for release; LOAD=bulk,queued,… and ARGS='--rounds 5 …' choose
	$(TARGET)/release/noxctl bench $(if $(LOAD),--load $(LOAD)) $(ARGS)

judge: setup release ## everything that docs/performance.md has, beside pg-boss; hours
	$(TARGET)/release/noxctl bench --markdown --against pg-boss $(ARGS) \
		--load bulk,single,latency,process,queued,retained,restart,limited,soak

processes: release ## 10,000 jobs that are each a process, beside HyperQueue; three rounds, or ROUNDS=…
	bench/hyperqueue/compare $(or $(ROUNDS),3)

profile: setup release ## which functions take most time, process by process, where there is `perf`
	$(TARGET)/release/noxctl bench --load $(or $(LOAD),bulk) --durability relaxed --rounds 1 --profile $(ARGS)

lists: ## lists of five million jobs, within 10 ms each; takes some minutes and 6 GB
	cargo test -p nox-readmodel --locked --test it lists_of_five -- --ignored --nocapture

clean: ## remove what was built and what `make up` kept in .nox/data; the tools stay
	cargo clean
	rm -rf .nox/data
