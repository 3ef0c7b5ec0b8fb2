"""Whole updates beside a second, plain implementation: all figures, and the weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model_state_dict
from plain_ppo import PlainPpo, Row, Tokens, Told
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM
from wired_ppo import BETA, Rule, orders, trainer_of, with_job

from rlaif.config import GenerationConfig
from rlaif.models.scoring import Answer
from rlaif.stages.ppo.examples import Drawn, Examples
from rlaif.stages.ppo.rollouts import Rolled, Roller
from rlaif.stages.ppo.trainer import PpoTrainer
from rlaif.testing import make_tiny_lm

UPDATES = 3
TEMPERATURE = 0.8
CUT_OFF = -2.5
SHAPING = {
    "gamma": 0.95,
    "lam": 0.8,
    "length_penalty": 0.2,
    "length_free": 2,
    "reward_scaling": "running",
    "reward_clip": 1.2,
}
LIMITS = {"clip": 0.05, "dual_clip": 1.1, "value_clip": 0.05, "max_grad_norm": 0.4}
MIXES: dict[str, dict[str, object]] = {
    "plain": {"critic": "shared"},
    "shaped": {"critic": "branch", **SHAPING, "kl_estimator": "k2"},
    "limited": {"critic": "separate", **LIMITS, "entropy_coefficient": 0.05},
    "anchored": {
        "critic": "shared",
        "kl_place": "loss",
        "kl_estimator": "k2",
        "reference": "ema",
        "ema_decay": 0.6,
        "ptx_coefficient": 0.3,
    },
    "other-direction": {"critic": "branch", "kl_place": "loss", "kl_estimator": "k3", **LIMITS},
    "exact-loss": {"critic": "branch", "kl_place": "loss", "kl_estimator": "exact", **SHAPING},
    "exact-reward": {
        "critic": "separate",
        "kl_estimator": "exact",
        "reference": "ema",
        "ema_decay": 0.5,
        "critic_warmup": 1,
        "ptx_coefficient": 0.2,
    },
    "controlled": {
        "critic": "shared",
        "kl_control": "adaptive",
        "kl_target": 0.05,
        "kl_horizon": 30,
        "kl_estimator": "k3",
        "critic_warmup": 1,
        "kl_early_stop": 0.001,
    },
    "adapter": {"critic": "branch", "lora_rank": 3, "entropy_coefficient": 0.02, **SHAPING},
    "adapters": {
        "critic": "separate",
        "lora_rank": 2,
        "lora_alpha": 5.0,
        "kl_place": "loss",
        "kl_estimator": "exact",
        "ptx_coefficient": 0.3,
        **LIMITS,
    },
    "adapter-shared": {
        "critic": "shared",
        "lora_rank": 4,
        "reference": "ema",
        "ema_decay": 0.3,
        "gradient_checkpointing": True,
    },
}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A policy of three blocks that ends some of its answers itself."""
    folder = make_tiny_lm(tmp_path_factory.mktemp("models") / "policy", layers=3)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight[model.generation_config.eos_token_id] *= 6.0
    model.save_pretrained(folder)
    return str(folder)


class Remembering(Rule):
    """A rule that keeps its rewards, and what it was told of endings."""

    def __init__(self) -> None:
        self.said: list[tuple[bool, float]] = []

    def score(self, answers: Sequence[Answer]) -> Tensor:
        scores = super().score(answers)
        self.said += zip([ended for _, _, ended in answers], scores.tolist(), strict=True)
        return scores


class Recorder:
    """An engine, and what a second one must be told of each of its updates."""

    def __init__(self, policy: str, folder: Path, patch: pytest.MonkeyPatch, **mix: Any) -> None:
        self.rule = Remembering()
        settings = {"learning_rate": 3e-4, "value_learning_rate": 2e-3, "epochs": 2, **mix}
        self.trainer = with_job(
            trainer_of(policy, folder, self.rule, micro_batch=3, **settings),
            generation=GenerationConfig(max_tokens=12, temperature=TEMPERATURE),
            missing_eos_score=CUT_OFF,
        )
        self.rolled: list[Rolled] = []
        self.drawn: list[Sequence[tuple[Tokens, Tokens]]] = []
        roll, draw = Roller.roll, Examples.draw

        def rolling(roller: Roller, *given: Any) -> Rolled:
            self.rolled.append(roll(roller, *given))
            return self.rolled[-1]

        def drawing(examples: Examples, *given: Any) -> Drawn:
            found = draw(examples, *given)
            self.drawn.append(found.rows)
            return found

        patch.setattr(Roller, "roll", rolling)
        patch.setattr(Examples, "draw", drawing)

    def update(self) -> Told:
        self.drawn.clear()
        self.rule.said.clear()
        number, size = self.trainer.done, self.trainer._job.ppo.minibatch
        self.trainer.update()
        batch = self.rolled[-1].batch
        places = orders(self.trainer, batch, number)
        parts = [places[start : start + size] for start in range(0, len(places), size)]
        rollout = batch.rollout
        rows = []
        for ids, real, length, said in zip(
            rollout.input_ids,
            rollout.token_mask,
            rollout.response_lengths.tolist(),
            self.rule.said,
            strict=True,
        ):
            tokens = ids[real].tolist()
            rows.append(Row(tokens[:-length], tokens[-length:], *said))
        return Told(rows, parts, self.drawn)

    def figures(self) -> dict[str, float]:
        last = self.trainer.done - 1
        return {m.name: m.value for m in self.trainer.metrics if m.step == last}


def plain_of(trainer: PpoTrainer, policy: str, folder: Path) -> PlainPpo:
    model = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float64)
    settings = trainer._job.ppo
    if settings.lora_rank:
        trainer.learner.save_policy(folder)
        model = PeftModel.from_pretrained(model, folder, is_trainable=True).double()
    return PlainPpo(model, settings, TEMPERATURE, BETA, CUT_OFF)


def weights_of(trainer: PpoTrainer, plain: PlainPpo, folder: Path) -> list[dict[str, Tensor]]:
    """What each has made of the policy's trained weights, by the library's names."""
    trainer.learner.save_policy(folder)
    if isinstance(plain.policy, PeftModel):
        expected = get_peft_model_state_dict(plain.policy, save_embedding_layers=False)
        return [load_file(folder / "adapter_model.safetensors"), expected]
    saved = AutoModelForCausalLM.from_pretrained(folder)
    return [dict(model.named_parameters()) for model in (saved, plain.policy)]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("mix", MIXES)
def test_updates_are_those_of_a_plain_implementation(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mix: str
) -> None:
    for name in ("first", "last"):
        (tmp_path / name).mkdir()
    engine = Recorder(policy, tmp_path, monkeypatch, **MIXES[mix])
    plain = plain_of(engine.trainer, policy, tmp_path / "first")
    for _ in range(UPDATES):
        told = engine.update()
        expected = plain.update(told)
        found = {name: engine.figures()[name] for name in expected}
        assert found == pytest.approx(expected, rel=2e-4, abs=1e-5)
    assert engine.trainer.beta == pytest.approx(plain.beta, rel=1e-6)
    weights, same = weights_of(engine.trainer, plain, tmp_path / "last")
    assert set(weights) == set(same)
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor.double(), same[name], rtol=0, atol=2e-5, msg=name)
    _, values = engine.trainer.learner.critic.read(engine.rolled[-1].batch.rollout)
    rows = [plain.value(row, plain.say(plain.policy, *row[:2])) for row in told.rows]
    torch.testing.assert_close(values.double(), torch.cat(rows), rtol=1e-3, atol=1e-4)
