# The commands that people and CI share. Everything lives in .venv; nothing else is touched, except
# that `make test` installs the servers and the browser it tests against where it may.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SECONDS ?=
SERVERS := mosquitto mosquitto-clients victoria-metrics influxdb chromium

# Where it is set, every command that a test starts would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup servers demo test check format docs screenshots bench district fuzz detection soak lock clean

help: ## these lines
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## the virtual environment with everything in it

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## the main job on embedded parts; SECONDS=30 ends by itself
	$(BIN)/gateway demo $(if $(SECONDS),--seconds $(SECONDS))

servers: ## Mosquitto, VictoriaMetrics, InfluxDB and Chromium, through apt where that is allowed
	@sh deploy/test-servers.sh $(SERVERS)

test: setup servers ## every test
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

check: setup ## format, lint, types
	$(BIN)/ruff format --check gateway simulators tests
	$(BIN)/ruff check gateway simulators tests
	$(BIN)/mypy

format: setup ## put the code into the one format
	$(BIN)/ruff format gateway simulators tests
	$(BIN)/ruff check --fix gateway simulators tests

docs: setup ## the pages and dashboards that are made from profiles, models and quantities
	$(BIN)/gateway profile doc --catalogue > device_profiles/CATALOGUE.md
	$(BIN)/python -m gateway.key_reference device_profiles/README.md
	$(BIN)/python -m gateway.dashboards deploy/grafana

screenshots: setup servers ## a picture of each page of the console in both languages, in screenshots/
	@sh deploy/test-servers.sh fonts-noto-cjk
	$(BIN)/python -m tests.console.screenshots $(ARGS)

bench: setup servers ## speed as ratios to what runs beside it; writes bench.json
	$(BIN)/python -m tests.benchmarks.run --json bench.json $(ARGS)

district: setup servers ## the console over 100,000 devices while messages come in; writes district.json
	$(BIN)/python -m tests.benchmarks.console --json district.json $(ARGS)

fuzz: setup ## a million mutated messages through every profile
	$(BIN)/python -m tests.benchmarks.fuzz $(ARGS)

detection: setup ## recall and false flags over a fixed fleet; writes detection.json and detection/
	$(BIN)/python -m tests.benchmarks.detection $(ARGS)

soak: setup servers ## twenty kills under load; writes soak.json
	$(BIN)/python -m tests.benchmarks.soak --json soak.json $(ARGS)

lock: ## renew requirements.lock from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes \
	    --no-annotate --no-header --upgrade --quiet -o requirements.lock

clean: ## forget the virtual environment and what tests left
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis bench.json soak.json detection.json detection screenshots
