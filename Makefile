# Everything starts here; each target sets up what it needs. `make help` lists them.

PYTHON ?= python3
JOBS ?=
RUN := .venv/bin/ablation
JOBS_OPTION := $(if $(JOBS),-j $(JOBS))

.DEFAULT_GOAL := help
.PHONY: help ablation demo reports bench calibration chaos figures docs test test-fast coverage lint clean

help: ## Show this list
	@grep -hE '^[a-z.-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

ablation: .venv ## Train the full grid (8,640 models) and put its tables and pictures on a page; JOBS=2 sets the processes
	$(RUN) run ablation $(JOBS_OPTION) --report

demo: .venv ## The same on a small grid, in under a minute
	$(RUN) run demo $(JOBS_OPTION) --report

REPORTS := eight_models loss_criteria activations optimizers schedules border sgd_vs_adam history_and_boundary linear xor \
	vanishing batchnorm output_layer noise rates late_decay costs
RESULTS := $(if $(QUICK),quick/results,results)
PICTURES := $(if $(QUICK),quick/figures,figures)
QUICK_OPTION := $(if $(QUICK),--quick)

reports: .venv ## Reproduce the five reports (QUICK=1: 10 rounds each, in quick/): studies, pictures, verdicts
	@$(if $(QUICK),.venv/bin/python -c 'from studies.show.verdict_texts import QUICK; print(QUICK)')
	$(RUN) run $(REPORTS) $(JOBS_OPTION) $(QUICK_OPTION) --results $(RESULTS)
	$(RUN) figures $(REPORTS) $(QUICK_OPTION) --results $(RESULTS) --figures $(PICTURES)
	$(RUN) animate history_and_boundary --on validation --epochs 30 --every 1 $(QUICK_OPTION) --figures $(PICTURES) & \
	$(RUN) animate history_and_boundary --on test $(QUICK_OPTION) --figures $(PICTURES) && wait $$!
	$(RUN) verdict $(QUICK_OPTION) --results $(RESULTS) --markdown $(if $(QUICK),quick,docs)/reports.md

bench: .venv/.bench ## Measure the suite against its peers (under twelve minutes on two quiet cores; QUICK=1: three, in quick/)
	.venv/bin/python -m benchmarks run $(if $(QUICK),--size quick,--page docs/measurements.md) \
		--results $(RESULTS)/bench --figures $(PICTURES)/bench

calibration: .venv ## Check on real models that intervals and tests hold their level (under twenty minutes on two quiet cores)
	.venv/bin/python -m benchmarks calibration $(if $(JOBS),--jobs $(JOBS))

chaos: .venv ## Kill, tear and crowd runs for five minutes, and count what is lost: nothing; CHAOS_SECONDS=60 is shorter
	PYTHONPATH=. .venv/bin/python tests/chaos.py --seconds $(or $(CHAOS_SECONDS),300) --results $(RESULTS)

figures: .venv ## Draw all pictures again from the tables in results/
	$(RUN) figures

docs: .venv ## Write docs/spec.md and docs/files.md from the code
	.venv/bin/python -m studies.show.reference docs

test: .venv ## Run the tests, in two processes (PYTEST="-k regions" chooses)
	.venv/bin/pytest -n 2 --dist worksteal $(PYTEST)

test-fast: .venv ## Run the tests that start no processes and train little
	.venv/bin/pytest -n 2 --dist worksteal -m 'not slow' $(PYTEST)

coverage: .venv ## Run the fast tests, and fail where these alone cover less than the floor in pyproject.toml
	.venv/bin/pytest -n 2 --dist worksteal -m 'not slow' --cov --cov-report=term:skip-covered $(PYTEST)

lint: .venv ## Check style and types
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy

.venv: .venv/.installed ## Set up the virtual environment

.venv/.installed: pyproject.toml setup.py constraints.txt $(wildcard studies/train/engines/fused/core/*)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

.venv/.bench: .venv/.installed
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	touch $@

clean: ## Remove the environment, caches, and rows; committed tables and pictures stay
	rm -rf .venv quick .hypothesis .pytest_cache .ruff_cache .mypy_cache *.egg-info build studies/train/engines/fused/core*.so
	rm -rf results/*/shards results/*/models results/*/trials.csv results/*/history.csv results/*/predictions.csv \
		results/*/kept results/*/report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
