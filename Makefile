# Everything from a bare clone: the virtual environment makes itself, then the job is done.
VENV ?= .venv
OUT ?= out
JOBS ?= auto
BIN := $(VENV)/bin

.PHONY: help demo test lint benchmark ros model rig clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed  ## render the shipped conversation to out/demo.mp4
	$(BIN)/avatar-forcing demo --output-dir $(OUT)

test: $(VENV)/.installed-test  ## lint, types and all tests
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not browser'
	. $(VENV)/opt/mgonzs13/setup.sh && $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m either_audio test/nodes
	$(BIN)/python -m pytest -m browser test/web

lint: $(VENV)/.installed-test  ## lint and types alone
	$(BIN)/ruff check .
	$(BIN)/mypy

benchmark: $(VENV)/.installed  ## measure each stage on this machine
	$(BIN)/avatar-forcing benchmark --json $(OUT)/benchmark.json

ros: $(VENV)/.installed-ros  ## put ROS 2 from PyPI into the virtual environment, for its nodes

model: $(VENV)/.installed-test  ## make the data and train the compact model anew, to out/model (two hours)
	$(BIN)/avatar-forcing train data $(OUT)/model/data --count 2200 --natural-share 0.35
	$(BIN)/avatar-forcing train flow $(OUT)/model/data -o $(OUT)/model/flow --config config/train_compact.yaml
	$(BIN)/avatar-forcing train preference $(OUT)/model/data -o $(OUT)/model/preference \
	    --init $(OUT)/model/flow/generator.safetensors --config config/prefer_compact.yaml
	for what in '' --claims; do $(BIN)/avatar-forcing evaluate $$what -o $(OUT)/model/evaluation \
	    --weights $(OUT)/model/preference/generator.safetensors \
	    --before $(OUT)/model/flow/generator.safetensors || exit 1; done

rig: $(VENV)/.installed  ## draw the pages of coefficients and expressions for the docs
	$(BIN)/avatar-forcing rig -o docs/rig.jpg
	$(BIN)/avatar-forcing rig --expressions -o docs/expressions.jpg

INSTALLER := setup.cfg constraints.txt scripts/install
MESSAGES := scripts/ros_messages $(shell find msg action interfaces -name '*.msg' -o -name '*.action')

$(VENV)/.installed: $(INSTALLER)
	scripts/install $(VENV) mediapipe
	touch $@

$(VENV)/.installed-ros: $(INSTALLER) $(MESSAGES)
	scripts/install $(VENV) mediapipe,web,display,ros
	touch $(VENV)/.installed $@

$(VENV)/.installed-test: $(INSTALLER) $(MESSAGES)
	scripts/install $(VENV) mediapipe,ros,train,paper,web,test
	touch $(VENV)/.installed $@

clean:  ## remove what was made here, the virtual environment too
	rm -rf $(VENV) $(OUT) build install log *.egg-info
