# make run: the demo. make test: every check. make help lists the rest.
PORT ?= 8080
ADMIN_PORT ?= 9180
UPSTREAM_PORT ?= 8081
ORDERS_PORT ?= 8082
COVERAGE ?= 90
KILLS ?= 500
SECONDS ?= 60
SEED ?= $(shell date +%s)
EXAMPLES ?= 20000
BIN := .venv/bin
PURE := admission answers rfc9111
# Tests wait as well, those of whole processes most: one worker more than there are cores. Each takes files that follow
# each other, as those who share a gateway start fewer of them.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# What drives whole processes or plays thousands of examples: counting lines would take it twice as long.
# What takes long comes first, so that no worker is left with it at the end.
WHOLE := ledger/test_ledger_model.py background/test_background_scale.py ledger/test_ledger_size.py \
	test_newcomer.py workers jobs/test_jobs_model.py test_cache_model.py crash deploy browser snippets prometheus \
	demo/test_demo_run.py demo/test_demo_whole.py test_docs_commands.py test_docs_pages.py \
	$(addprefix fastlane/test_fastlane_,changes.py differential.py faults.py pipelines.py) e2e conformance

# What tests write is kept in memory, where that has 4 GB free and lets programs run: a disk is waited for.
SCRATCH := $(shell grep -qs ' /dev/shm .*noexec' /proc/mounts || df -Pk /dev/shm 2>/dev/null | awk '$$4 > 4e6 && /shm$$/ {print $$6}')
# What was compiled is read again, by those who test and by the hundreds of gateways that they start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install dev run test pure quick crash crash-fleet model lint docs pictures bench bench-quick clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile

install: ## .venv with the gateway command
	@scripts/bootstrap.sh

dev: ## the same with all that the tests need
	@scripts/bootstrap.sh dev

run: install ## the demo: a gateway in front of two demo upstreams (PORT, ADMIN_PORT, UPSTREAM_PORT, ORDERS_PORT)
	@$(BIN)/gateway demo --config config.yaml --port $(PORT) --admin-port $(ADMIN_PORT) \
		--upstream-port $(UPSTREAM_PORT) --orders-port $(ORDERS_PORT)

lint: dev ## format check, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

ifneq ($(SCRATCH),)
test pure quick: export TMPDIR := $(SCRATCH)
endif

test: lint pure ## every check, all tests, coverage
	@scripts/test-tools.sh
	$(BIN)/pytest -n auto --cov --cov-report= $(addprefix --ignore=tests/,$(PURE) $(WHOLE))
	$(BIN)/coverage combine --quiet --append .pure.coverage
	$(BIN)/coverage report --skip-covered --fail-under=$(COVERAGE)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(addprefix tests/,$(WHOLE))

pure: dev ## the pure packages: every branch covered by their own tests
	COVERAGE_FILE=.pure.coverage $(BIN)/pytest -n auto --cov --cov-report= $(PURE:%=tests/%)
	COVERAGE_FILE=.pure.coverage $(BIN)/coverage report --include="gateway/admission/*,gateway/answers/*,gateway/rfc9111/*" --show-missing --skip-covered --fail-under=100

quick: lint ## the inner loop: checks and the tests that are not slow
	$(BIN)/pytest -n $(WORKERS) -m "not slow" --hypothesis-profile brief

crash: dev ## kill -9 under load, KILLS=500 times, and a fifth as often under refreshes, the books after; SEED=n repeats one
	PYTHONPATH=tests $(BIN)/python -m crash $(KILLS) $(SEED)

crash-fleet: dev ## kill -9 of any of three gateways on one Redis, for SECONDS=60 under load, the books after; SEED=n repeats one
	PYTHONPATH=tests $(BIN)/python -m crash fleet $(SECONDS) $(SEED)

model: dev ## the ledger under a hypothesis machine: EXAMPLES=20000 of 50 steps each
	MODEL_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -n auto tests/ledger/test_ledger_model.py

docs: dev ## docs/config.md from the schema, the picture of a request's way, and the figures of the last `make bench`
	$(BIN)/python scripts/config_reference.py
	$(BIN)/python -m scripts.request_way
	$(BIN)/python -m bench.readme
	$(BIN)/python -m bench.scaling

pictures: dev ## the README's pictures of the dashboard, from five minutes of the demo
	@scripts/test-tools.sh
	PYTHONPATH=tests $(BIN)/python -m browser.pictures

bench: dev ## everything beside nginx + Lua, nginx, HAProxy, Varnish, aiohttp: under 10 minutes (PARTS="hits herd" for some)
	@scripts/bench-tools.sh
	$(BIN)/python -m bench $(PARTS)

bench-quick: dev ## the same in short: under 90 seconds
	@scripts/bench-tools.sh
	$(BIN)/python -m bench --quick $(PARTS)

clean: ## what the commands above made, except the demo's store
	rm -rf .venv .coverage .coverage.* .pure.coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist *.egg-info
	find gateway tests -name __pycache__ -type d -prune -exec rm -rf {} +
