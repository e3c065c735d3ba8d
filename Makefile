# make setup | study | docs | test | golden | browser-test | cluster-test | check | soak | fuzz | bench | lock: everything a user or CI runs. Needs Python 3.11+ with pip.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# Without byte code on disk each process compiles torch and Ray again: 13 CPU seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup study docs test golden browser-test cluster-test check soak fuzz bench format lock clean

setup: $(INSTALLED)

$(INSTALLED): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed, but $(PYTHON) is ' + sys.version.split()[0])"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.7"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --no-deps -e .
	touch $(INSTALLED)

study: setup
	$(BIN)/python -m orchestrator.study --families all --preset demo $(ARGS)

# The documentation as a site in site/; fails where a link leads nowhere.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build $(ARGS)

# Two processes: Ray's tests wait most of the time, and the others compute meanwhile.
test: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not browser and not demonstration" $(ARGS)

# The report in Chromium (apt-get install chromium): a minute or two.
browser-test: setup
	$(BIN)/python -m pytest -m browser $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# Both golden studies, the demonstration's too: minutes of training. ARGS=--renew-golden stores anew.
golden: setup
	$(BIN)/python -m pytest tests/golden $(ARGS)

# Real `ray up` and Slurm on three hosts made of namespaces; needs root, sshd, rsync, ip and Slurm, else
# it says so. About fifteen minutes on an idle machine; logs are kept in .cluster-test/.
# Prometheus, where it is installed, watches two studies.
cluster-test: setup
	$(BIN)/python -m pytest tests/cluster $(ARGS)

# One study whose driver is killed KILLS times at random moments; about a minute a kill.
KILLS ?= 50
soak: setup
	$(BIN)/python tests/support/soak.py --kills $(KILLS) $(ARGS)

# 500 damaged results folders x every command that reads one, 500 wrong command lines: ten minutes.
fuzz: setup
	$(BIN)/python tests/support/fuzz.py $(ARGS)

# Speed as ratios: a training step beside a plain loop, the driver, what early stopping saves, and,
# where DATA is a folder with CIFAR-10, a whole small study. Ten minutes on an idle machine.
bench: setup
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/driver.py
	$(BIN)/python benchmarks/search.py --seeds 10 --slots 4
	$(BIN)/python benchmarks/search_opponents.py --seeds 5
	$(if $(DATA),$(BIN)/python benchmarks/small_study.py --data-dir $(DATA) --repeats 1)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Two locks that agree: all packages, and those of a node. The second starts from the pins of the first.
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --quiet --custom-compile-command "make lock" pyproject.toml --extra run --extra node
lock:
	$(COMPILE) --extra dev -o requirements-dev.lock
	cp requirements-dev.lock requirements.lock
	$(COMPILE) -o requirements.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
