# Everything a stranger needs: make run | test | coverage | rows | lint | bench; on a Pi: install | test-hardware.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8080
DEV_STAMP := $(VENV)/.dev
RUN_STAMP := $(VENV)/.run
ALSA_STAMP := $(VENV)/.alsa
TWO := -n 2 --dist loadfile
AGAIN = { [ $$? -eq 1 ] && sh tests/again.sh $(BIN)/python; }

.PHONY: run test coverage rows test-hardware lint bench peers install uninstall clean

run: $(RUN_STAMP)
	$(BIN)/room-appliance demo --port $(PORT)

# Two at a time, for most of them wait; those that measure have the machine for themselves. Up to eight that fail have it
# too, once more: whether they wanted for time or are wrong is seen there, and both are to be mended.
test: $(DEV_STAMP) peers $(ALSA_STAMP)
	$(BIN)/python -m pytest $(TWO) -m "not alone" --maxfail=12 || $(AGAIN)
	$(BIN)/python -m pytest -m alone --maxfail=12 || $(AGAIN)

# The same, and which lines and branches nothing ran; a fifth slower.
coverage: $(DEV_STAMP) peers $(ALSA_STAMP)
	$(BIN)/python -m pytest $(TWO) -m "not alone" --cov --cov-report=
	$(BIN)/python -m pytest -m alone --cov --cov-append --cov-report=term:skip-covered

# Each capability with the tests that show it, and whether they passed.
rows: $(DEV_STAMP) peers $(ALSA_STAMP)
	$(BIN)/python -m tests.rows

# On a Pi whose unit is stopped, at a terminal: says what to look at and what to do, skips what is not there. The
# hardware packages are Debian's: the venv sees them; none of the peers, for PulseAudio would take the sound card.
test-hardware: VENV_OPTIONS := --system-site-packages
test-hardware: $(DEV_STAMP)
	$(BIN)/python -m pytest --capture=no -rs -m hardware tests/hardware

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV_STAMP)
	$(BIN)/python -m tests.bench

# Debian's packages that the tests talk to; installed where this user may, named where not.
peers:
	@sh tests/peers.sh
	@sh tests/npm_peers.sh

# As root, on the machine that is to be the unit; again to upgrade. See systemd/install.sh.
install:
	@PYTHON=$(PYTHON) sh systemd/install.sh

uninstall:
	@sh systemd/uninstall.sh

$(RUN_STAMP): pyproject.toml
	@PYTHON=$(PYTHON) sh tests/peers.sh python
	$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(DEV_STAMP): pyproject.toml $(RUN_STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# pyalsaaudio is compiled here: where a compiler or ALSA's headers are missing, the tests of sound cards skip or, under
# CI=true, fail.
$(ALSA_STAMP): $(DEV_STAMP) | peers
	@if $(BIN)/pip install --quiet --disable-pip-version-check --editable '.[alsa]'; then touch $@; \
	else echo "pyalsaaudio cannot be built here: sound cards are not tested" >&2; fi

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage bench.json
