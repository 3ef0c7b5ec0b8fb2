"""TRL's side of the comparison: its own trainer, stepped by the parent; needs TRL 1.12.0."""

import argparse
import contextlib
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainerCallback,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer

from worlds import read_shape


def say(**fields):
    print(json.dumps(fields), file=OUT, flush=True)


class Stepper(TrainerCallback):
    def __init__(self):
        self.start = None

    def wait(self):
        line = sys.stdin.readline().strip()
        if line != "go":
            sys.exit(0)
        self.start = time.perf_counter()

    def on_train_begin(self, *a, **k):
        say(ready=True)
        self.wait()

    def on_step_end(self, *a, **k):
        say(
            seconds=time.perf_counter() - self.start,
            peak_rss_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        )
        self.wait()


p = argparse.ArgumentParser()
p.add_argument("world", type=Path)
p.add_argument("--weights", default="float32")
p.add_argument("--updates", type=int)
a = p.parse_args()
OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
shape = read_shape(a.world)
dtype = getattr(torch, a.weights)
tok = AutoTokenizer.from_pretrained(a.world / "policy", padding_side="left")
policy = AutoModelForCausalLM.from_pretrained(a.world / "policy", dtype=dtype)
ref = AutoModelForCausalLM.from_pretrained(a.world / "policy", dtype=dtype)
head = load_file(a.world / "reward_head.safetensors")["weight"]


def scorer(zero):
    m = AutoModelForSequenceClassification.from_pretrained(
        a.world / "policy", num_labels=1, dtype=dtype
    )
    with torch.no_grad():
        m.score.weight.copy_(torch.zeros_like(head) if zero else head)
    return m


rm, vm = scorer(False), scorer(True)
prompts = json.loads((a.world / "prompts.json").read_text())
args = PPOConfig(
    output_dir="/tmp/trl_out",
    per_device_train_batch_size=shape.batch,
    gradient_accumulation_steps=1,
    num_mini_batches=1,
    total_episodes=shape.batch * a.updates,
    local_rollout_forward_batch_size=shape.batch,
    response_length=shape.response,
    stop_token="eos" if shape.mean_length else None,
    temperature=1.0,
    num_ppo_epochs=shape.epochs,
    num_sample_generations=0,
    report_to="none",
    gradient_checkpointing=False,
    use_cpu=True,
    bf16=False,
    learning_rate=1e-7,
    adam_epsilon=1e-5,
    save_strategy="no",
    eval_strategy="no",
    disable_tqdm=True,
    logging_steps=1000,
    seed=1,
)
tr = PPOTrainer(
    args=args,
    processing_class=tok,
    model=policy,
    ref_model=ref,
    reward_model=rm,
    value_model=vm,
    train_dataset=Dataset.from_dict({"input_ids": prompts}),
    callbacks=[Stepper()],
)
with contextlib.redirect_stdout(sys.stderr):
    tr.train()
