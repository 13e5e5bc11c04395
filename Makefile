# Everything from a bare clone: the virtual environment makes itself, then the job is done.
VENV ?= .venv
OUT ?= out
JOBS ?= auto
BIN := $(VENV)/bin

.PHONY: help demo test lint benchmark rig clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed  ## render the shipped conversation to out/demo.mp4
	$(BIN)/avatar-forcing demo --output-dir $(OUT)

test: $(VENV)/.installed-test  ## lint, types and all tests
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: $(VENV)/.installed-test  ## lint and types alone
	$(BIN)/ruff check .
	$(BIN)/mypy

benchmark: $(VENV)/.installed  ## measure each stage on this machine
	$(BIN)/avatar-forcing benchmark --json $(OUT)/benchmark.json

rig: $(VENV)/.installed  ## draw the page of rig coefficients for the docs
	$(BIN)/avatar-forcing rig -o docs/rig.jpg

$(VENV)/.installed: setup.cfg constraints.txt scripts/install
	scripts/install $(VENV) mediapipe
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	scripts/install $(VENV) mediapipe,standalone,train,paper,test
	touch $@

clean:  ## remove what was made here, the virtual environment too
	rm -rf $(VENV) $(OUT) build install log *.egg-info
