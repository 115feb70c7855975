# Everything runs in .venv. PYTHON=/path/to/python3.12 chooses what it is made from; CONTRIBUTING.md tells more.
PY := .venv/bin/python
SPREAD := -n auto --dist loadfile
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup test-setup demo test check bench faults families catalogue readme clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

setup: .venv/installed ## make .venv and install what the commands need
test-setup: .venv/installed-test

.venv/installed: requirements.txt
	@.ci/setup $< && touch $@

.venv/installed-test: requirements-test.txt .venv/installed
	@.ci/setup $< && touch $@

# Whatever fixgrid.toml says, and beside the cache of other data.
demo: export FIXGRID_DATA = sample
demo: export FIXGRID_CACHE = sample-features
demo: setup ## setup, then the accuracy of every resolution pair on the built-in sample
	@$(PY) cli.py extract --res 128,224
	@$(PY) cli.py fit-head
	@$(PY) cli.py grid

test: test-setup ## setup, then every test
	@$(PY) -m pytest $(SPREAD)

check: test-setup ## lint, types and tests: what a change must pass
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m pytest $(SPREAD)

bench: test-setup ## measure speed; results go to bench-results/
	@$(PY) -m tests.bench

faults: test-setup ## inject kills, full disks and damaged files into a running extraction
	@$(PY) -m tests.faults

families: test-setup ## compare one model of every family of timm's with timm, at three sizes each
	@$(PY) -m tests.families

catalogue: test-setup ## list the trunks of the installed timm and torchvision for models; some 20 minutes
	@$(PY) -m tests.catalogue

readme: test-setup ## run what README.md shows and put what it prints in place; ALL=1 with what takes hours
	@$(PY) -m tests.readme $(if $(ALL),--all)

clean: ## remove .venv and what tools left; cached features stay
	@rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
