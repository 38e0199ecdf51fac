# One verb a wish; `make` alone lists them. Each sets up what it needs: python3 (3.11 or later) is enough.

PYTHON ?= python3
VENV ?= .venv
# uv is one version, whose hashes are known: that of the PATH where it is this one, else one of our own in .uv. Another
# that pyproject.toml allows is taken where it is asked for: make UV=/path/to/uv.
PINNED := requirements-uv.txt
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' $(PINNED))
UV := $(shell [ "$$(uv --version 2>/dev/null | cut -d ' ' -f 2)" = "$(UV_VERSION)" ] && command -v uv || echo .uv/bin/uv)
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none)
READY := $(VENV)/.ready-$(VERSION)
RUN := $(UV) run --frozen --no-sync
# Tests wait more than they work, so there are more of them at once than cores. Without caches of bytecode every process
# that one starts would compile all that it imports, which is most of its work.
TEST := PYTHONDONTWRITEBYTECODE= $(RUN) pytest -n 4 --dist loadgroup
# Needs no registry where all is well. A mirror that was set is left out: the lock file names the registry itself.
LOCK_CHECK := env -u UV_DEFAULT_INDEX -u UV_INDEX_URL -u UV_INDEX -u UV_EXTRA_INDEX_URL $(UV) lock --quiet --check --python $(PYTHON)
export UV_PROJECT_ENVIRONMENT := $(VENV)
# Trust what the system trusts, as pip does: networks that look into TLS have certificates of their own.
export UV_SYSTEM_CERTS ?= 1
# Whatever a build needs has to be pinned by its hash (pyproject.toml); uv calls that a preview.
export UV_REQUIRE_BUILD_HASHES := 1
export UV_PREVIEW_FEATURES := build-dependency-hashes

.DEFAULT_GOAL := help
.PHONY: help setup compare test test-modes test-frameworks test-loops lint format serve-asyncio serve-gevent bench doctor coverage figures figures-load figures-servers figures-modes figures-memory figures-browser bench-load bench-modes bench-pages schema facts power attack clean

help:  ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## install everything into this checkout

compare: setup  ## compare both stacks (90 seconds) and write results/<id>/report.html
	$(RUN) tickbench compare --suite quick

test: setup  ## run all tests
	$(TEST)

test-loops: setup  ## run the contract tests on the other event loops and the other fan-out (twelve minutes)
	$(TEST) tests/contract -k asyncio --serve-with "--loop uvloop --clock loop"
	$(TEST) tests/contract -k gevent --serve-with "--loop libuv --clock loop"
	$(TEST) tests/contract --serve-with "--fanout library"

test-modes: setup  ## run the contract tests on every loop design, whether it differs or not (twenty minutes)
	TICKBENCH_ALL_ARMS=1 $(TEST) tests/contract

test-frameworks: setup  ## run the contract tests on every framework, whether it is asked or not (half an hour)
	TICKBENCH_ALL_FRAMEWORKS=1 $(TEST) tests/contract -k managed

lint: setup  ## check the lock file, style, types and who imports whom
	@$(LOCK_CHECK) || { echo "error: uv.lock is not that of pyproject.toml; 'uv lock' would bring it up to date" >&2; exit 1; }
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports --no-cache

format: setup  ## put the code into its style
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

serve-asyncio: setup  ## serve the game with asyncio on http://127.0.0.1:8000
	$(RUN) tickbench serve asyncio

serve-gevent: setup  ## serve the game with gevent on http://127.0.0.1:8000
	$(RUN) tickbench serve gevent

bench: setup  ## measure fan-outs, timers and rules beside the bare calls (twenty minutes, on a quiet machine)
	$(RUN) tickbench bench

doctor: setup  ## say whether this machine is fit to measure on
	$(RUN) tickbench doctor

coverage: setup  ## run all tests and say which lines they never reached
	$(TEST) --cov --cov-report=term-missing:skip-covered

figures: setup  ## run the longest tests at full length: 2,000 steps in lockstep, 60 s of abuse
	TICKBENCH_SAME_STEPS=2000 TICKBENCH_ABUSE_SECONDS=60 $(RUN) pytest --timeout 900 \
		tests/contract/test_same_bytes.py tests/contract/test_abuse.py

figures-load: setup  ## hold the load generator to its planted truths at full size (eight minutes, on a quiet machine)
	TICKBENCH_FULL_SIZE=1 $(RUN) pytest --timeout 600 \
		tests/loadtests/account/test_planted_lateness.py tests/loadtests/account/test_planted_counts.py \
		tests/loadtests/verdict/test_doubts.py

figures-browser: setup  ## hold the load generator to what a page in Chromium sees among 300 users (three minutes, on a quiet machine)
	TICKBENCH_FULL_SIZE=1 $(RUN) pytest -s --timeout 600 tests/loadtests/test_browser.py

figures-servers: setup  ## hold the servers to their figures at full size: slow clients, storms, churn, memory (three hours)
	TICKBENCH_FULL_SIZE=1 $(RUN) pytest -s --timeout 1500 \
		tests/contract/test_stalled_crowd.py tests/contract/test_storm.py tests/contract/test_ten_thousand.py \
		tests/contract/test_interleavings.py tests/contract/test_stalls.py tests/contract/test_churn.py

figures-modes: setup  ## end children, rules and loops 50 times each at random moments, in every loop design (ten minutes)
	TICKBENCH_FULL_SIZE=1 $(RUN) pytest -s --timeout 600 tests/contract/test_loops.py tests/contract/test_crash.py

figures-memory: setup  ## hold memory a connection to one value, with bytecode caches and without, at three loads (15 minutes)
	$(RUN) python -m tests.bench.memory

bench-load: setup  ## measure what a frame costs the load generator, and the usual way beside it (five minutes)
	$(RUN) python -m tests.bench.generator

bench-modes: setup  ## measure the loop designs: a light tick for 1,000 connections, a heavy one for 200 (an hour)
	$(RUN) python -m tests.bench.modes light
	$(RUN) python -m tests.bench.modes heavy

bench-pages: setup  ## measure what a scrape of /stats and /metrics costs the ticks, at 1 and 1,000 rooms (a minute)
	$(RUN) python -m tests.bench.pages

facts: setup  ## make the data file that the report takes what docs/frameworks.md says from
	@$(RUN) python -m tests.support.framework_facts

schema: setup  ## print the JSON schema of results.json, made of the types (make -s, for a file)
	@$(RUN) python -c 'from tickbench.report.document import schema_text; print(schema_text(), end="")'

power: setup  ## simulate what a suite can find, by how much runs scatter (three minutes)
	$(RUN) python -m tests.bench.power

attack: setup  ## attack both servers in every way, in each of their arms, beside good players (three quarters of an hour)
	@failed=0; \
	for arms in "" "--in-turns --seconds 60 --mode all" "--in-turns --seconds 60 --fanout all" "--in-turns --seconds 60 --loop all"; do \
		$(RUN) python -m tests.bench.attack $$arms || failed=$$?; \
		test $$failed -ne 130 || break; \
	done; exit $$failed

clean:  ## remove what was built (results stay)
	rm -rf $(VENV) .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage

$(READY): pyproject.toml uv.lock | check-python $(UV)
	$(UV) sync --frozen --all-extras --python $(PYTHON)
	@rm -f $(VENV)/.ready-* && touch $@

.PHONY: check-python
check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is no Python 3.11 or later; make PYTHON=/path/to/python3.11 would be right" >&2; exit 2; }

# Into a folder of the checkout, by venv or, where that is missing, by pip; anew when another version is pinned. Nothing is
# built: what would build it is not pinned.
.uv/bin/uv: $(PINNED) | check-python
	rm -rf .uv
	$(PYTHON) -m venv .uv && .uv/bin/python -m pip install --quiet --only-binary :all: --require-hashes -r $(PINNED) || \
		{ rm -rf .uv && $(PYTHON) -m pip install --quiet --target .uv --only-binary :all: --require-hashes -r $(PINNED); }
	@touch $@
