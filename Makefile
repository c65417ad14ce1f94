# Two commands set everything up: `make demo` and `make test`. Both make .venv on first use and reuse it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINED := -c constraints.txt
# The data that others published, for the demo and for the tests that need it (see CONTRIBUTING.md).
R_AVST_DATA ?= $(abspath $(wildcard ../shared/data))
export R_AVST_DATA
export OMP_NUM_THREADS := 1
export HF_HUB_DISABLE_TELEMETRY := 1

ANNOTATIONS := $(if $(R_AVST_DATA),--annotations $(R_AVST_DATA)/r_avst/xml_test_QA.json)
UNAV := $(addprefix --unav ,$(wildcard $(R_AVST_DATA)/unav100/unav100_annotations.json))
# What `make learn` leaves: a tiny trained model, its data set and its clips.
LEARNED := learn/runs/temporal_0
# What it answers with: as the clips were when it learned.
TINY_OPTIONS := --fps 2 --max-frames 16 --min-pixels 784 --max-pixels 784 --decimals 0 --max-new-tokens 64
# What `make demo` leaves of it.
TINY := $(and $(wildcard $(LEARNED)/trained),$(wildcard release/tiny.jsonl))
METRIC_FILES := $(wildcard metrics/avst_metrics/*.py metrics/avst_metrics/*.md metrics/avst_metrics/*.txt)

.PHONY: help demo space tables learn learn-all test coverage lint bench clean

help:
	@echo "make demo    build a data set from a synthetic world, load it, score constant answers (release/), train a tiny model, score it; no network"
	@echo "make space   open the page that shows boxes over the playing video: on what make demo made, else on a made-up data set"
	@echo "make tables  build the data set from the released annotations, score constant answers beside the paper's models"
	@echo "make learn   train a tiny model on synthetic clips and check that it learned (learn/), minutes; learn-all: all tasks, three seeds"
	@echo "make test    the whole suite but what takes minutes (pytest -m slow); make coverage: the same, a sixth slower, with coverage"
	@echo "make lint    ruff and mypy"
	@echo "make bench   the benchmarks, side by side; writes bench/results.json"
	@echo "make clean   remove what the others made"

$(VENV)/base: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version) if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check $(CONSTRAINED) -e .
	@touch $@

$(VENV)/dev: $(VENV)/build
	$(BIN)/python -m pip install -q --disable-pip-version-check $(CONSTRAINED) -e '.[boxes,decord,publish,ray,review,sam2,space,stats,track,train,videos,dev]'
	@touch $@

$(VENV)/build: $(VENV)/base
	$(BIN)/python -m pip install -q --disable-pip-version-check $(CONSTRAINED) -e '.[build]'
	@touch $@

$(VENV)/space: $(VENV)/build
	$(BIN)/python -m pip install -q --disable-pip-version-check $(CONSTRAINED) -e '.[space]'
	@touch $@

$(VENV)/train: $(VENV)/build
	$(BIN)/python -m pip install -q --disable-pip-version-check $(CONSTRAINED) -e '.[train]'
	@touch $@

demo: $(VENV)/train
	$(BIN)/r-avst-build synthetic --videos 40 --seed 0 --no-balance --work release/build --out release/r-avst
	@rm -rf release/avst_metrics && mkdir release/avst_metrics && cp $(METRIC_FILES) release/avst_metrics/
	$(BIN)/r-avst-score --dataset release/r-avst --with-floors --word-vectors exact --json release/scores.json
	cd release && ../$(BIN)/python -c 'from datasets import load_dataset; import evaluate; \
	    print(load_dataset("r-avst")); print("evaluate.load:", evaluate.load("avst_metrics").name)'
	$(MAKE) --no-print-directory learn
	@rm -f release/tiny.*
	$(BIN)/r-avst-predict --model $(LEARNED)/trained --dataset $(LEARNED)/r-avst --videos $(LEARNED)/videos --out release/tiny.jsonl \
	    $(TINY_OPTIONS) --batch-size 8
	$(BIN)/r-avst-score --dataset $(LEARNED)/r-avst --predictions release/tiny.jsonl --with-floors --word-vectors exact
	@echo "release/ holds r-avst/ (the data set), avst_metrics/ (the metric), build/ (videos, truth, what each stage made)"
	@echo "To look at the clips with the model's answers, and to ask it about others: make space"

space: $(VENV)/space $(if $(TINY),$(VENV)/train)
	$(BIN)/r-avst-space $(if $(TINY),--dataset $(LEARNED)/r-avst --videos $(LEARNED)/videos --predictions release/tiny.jsonl \
	    --model $(LEARNED)/trained $(TINY_OPTIONS),--synthetic)

tables: $(VENV)/base
	$(BIN)/r-avst-build release $(ANNOTATIONS) $(UNAV) --out release/released/r-avst
	$(BIN)/r-avst-score --dataset release/released/r-avst --with-floors --with-paper --word-vectors exact --json release/floors.json

learn: $(VENV)/train
	$(BIN)/python -m r_avst.training.learn.learn --tasks temporal --seeds 0 --out learn

# Goes on where it was stopped.
learn-all: $(VENV)/train
	$(BIN)/python -m r_avst.training.learn.learn --out learn

test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 -m "not slow"

coverage: $(VENV)/dev
	$(BIN)/python -m pytest -n 2 -m "not slow" --cov --cov-report=term

# Type checkers do not follow an editable install through package-dir: check an ordinary one.
lint: $(VENV)/dev
	$(BIN)/ruff format --check . && $(BIN)/ruff check .
	rm -rf build/lib .typed && $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --target .typed .
	cd .typed && MYPYPATH=. ../$(BIN)/mypy --config-file ../pyproject.toml -p r_avst

bench: $(VENV)/dev
	$(BIN)/python bench/run.py

clean:
	rm -rf release learn build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -exec rm -rf {} +
