"""Each setting of the other optimisers reaches TRL; what is ours about them is found by hand."""

import math
from typing import Any

import pytest
import torch
from optimiser_jobs import CPU, PAIRS, Maker, with_settings

from rlaif.config import GenerationConfig
from rlaif.models.encoding import encode_answer, encode_conversation
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.models.scoring import RewardScorer
from rlaif.seeds import torch_generator
from rlaif.stages.optimisers import OptimiserJob, best_of_n
from rlaif.stages.optimisers.policy_trainer import Place
from rlaif.stages.optimisers.training import _trainer

COMMON = {"max_grad_norm": 0.7, "learning_rate": 3e-4}
GROUPS = {
    **COMMON,
    "updates": 3,
    "rollout_batch": 24,
    "group_size": 3,
    "epochs": 4,
    "minibatch": 12,
    "micro_batch": 6,
    "clip": 0.35,
    "checkpoint_updates": 2,
    "kl_beta": 0.45,
}
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def trainer_of(job: OptimiserJob) -> Any:
    policy = load_language_model(job.policy, CPU, trainable=True)
    return _trainer(Place(job, policy, "a fingerprint", None))


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_groups_are_trained_as_the_settings_say(make_job: Maker, method: str) -> None:
    generation = GenerationConfig(max_tokens=9, temperature=0.6)
    changes: dict[str, Any] = dict(GROUPS)
    if method == "grpo":
        changes |= {"scale_rewards": "batch", "loss": "dr_grpo"}
    trainer = trainer_of(with_settings(make_job(method, generation=generation), **changes))
    expected = {
        "learning_rate": 3e-4,
        "max_grad_norm": 0.7,
        "weight_decay": 0.0,
        "adam_epsilon": 1e-5,
        "per_device_train_batch_size": 6,
        "gradient_accumulation_steps": 2,
        "generation_batch_size": 24,
        "num_generations": 3,
        "num_iterations": 4,
        "epsilon": 0.35,
        "temperature": 0.6,
        "max_completion_length": 9,
        "save_steps": 2 * 8,
        "logging_steps": 8,
        **({"scale_rewards": "batch", "loss_type": "dr_grpo"} if method == "grpo" else {}),
    }
    assert {name: getattr(trainer.args, name) for name in expected} == expected
    assert trainer.beta == 0.45
    assert trainer.steps_per_update == 8
    asked = [int(row["prompt"]) for row in trainer.train_dataset]
    assert len(asked) == 3 * 24 // 3
    assert sorted(asked[:20]) == list(range(20))
    assert asked[:20] != list(range(20))


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_an_answer_that_ends_at_the_very_limit_has_ended(make_job: Maker, method: str) -> None:
    generation = GenerationConfig(max_tokens=4)
    trainer = trainer_of(make_job(method, generation=generation, missing_eos_score=-7.0))
    end, told = trainer.lm.end_id, {}
    answers = [[5, 6, 7, end], [5, 6, 7, 8], [5, end]]
    texts = [trainer.lm.tokenizer.decode(ids, skip_special_tokens=True) for ids in answers]
    found = trainer.reward(["0", "1", "2"], texts, answers, told.__setitem__)
    assert [reward == -7.0 for reward in found] == [False, True, False]
    assert told == {"ended": 2 / 3}


@pytest.mark.parametrize("method", ["dpo", "best_of_n"])
def test_rows_are_trained_as_the_settings_say(make_job: Maker, method: str) -> None:
    changes = {**COMMON, "epochs": 3, "batch_size": 12, "micro_batch": 4, "checkpoint_steps": 7}
    job = with_settings(make_job(method), **changes)
    trainer = trainer_of(job)
    expected = {
        "learning_rate": 3e-4,
        "max_grad_norm": 0.7,
        "weight_decay": 0.0,
        "adam_epsilon": 1e-5,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 3,
        "save_steps": 7,
    }
    assert {name: getattr(trainer.args, name) for name in expected} == expected
    rows = len(PAIRS) if method == "dpo" else 20
    order = list(trainer._get_train_sampler())
    passes = [order[start : start + rows] for start in range(0, 3 * rows, rows)]
    assert len(order) == 3 * rows
    assert all(sorted(one) == list(range(rows)) for one in passes)
    assert len(set(map(tuple, passes))) == 3


def logprob(lm: LanguageModel, asked: list[int], answer: list[int], temperature: float) -> float:
    logits = lm.model(torch.tensor([asked + answer])).logits[0, len(asked) - 1 : -1]
    said = (logits / temperature).log_softmax(-1)
    return float(said[range(len(answer)), answer].sum().detach())


@pytest.mark.parametrize("labels", ["soft", "hard"])
def test_the_loss_of_dpo_is_found_by_hand(make_job: Maker, labels: str) -> None:
    beta, temperature = 0.45, 0.6
    generation = GenerationConfig(max_tokens=9, temperature=temperature)
    job = with_settings(make_job("dpo", generation=generation), beta=beta, labels=labels)
    trainer = trainer_of(job)
    reference = load_language_model(job.reference, CPU)
    generator = torch_generator(3)
    with torch.no_grad():
        for weights in trainer.lm.model.parameters():
            weights.add_(0.05 * torch.randn(weights.shape, generator=generator))
    rows = [trainer.train_dataset[i] for i in range(8)]
    inputs = trainer._prepare_inputs(trainer.data_collator(rows))
    told = float(trainer.compute_loss(trainer.model, inputs).detach())
    moved = load_language_model(job.policy, CPU)
    moved.model.load_state_dict(trainer.lm.model.state_dict())
    losses = []
    for pair in PAIRS[:8]:
        asked = encode_conversation(moved, pair.prompt)
        first, second = (encode_answer(moved, text, True) for text in (pair.first, pair.second))
        gaps = [
            logprob(moved, asked, x, temperature) - logprob(reference, asked, x, temperature)
            for x in (first, second)
        ]
        p_first = 1 / (1 + math.exp(-beta * (gaps[0] - gaps[1])))
        wanted = pair.label if labels == "soft" else float(pair.label > 0.5)
        losses.append(-wanted * math.log(p_first) - (1 - wanted) * math.log(1 - p_first))
    assert max(losses) > 1.2 * min(losses)
    assert told == pytest.approx(sum(losses) / 8, rel=1e-4)


@pytest.mark.parametrize("at_once", [8, 32])
def test_the_best_of_each_prompts_answers_is_kept_and_its_prompt_has_no_loss(
    make_job: Maker, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(best_of_n, "PROMPTS_AT_ONCE", at_once)
    job = with_settings(make_job("best_of_n"), samples=5)
    trainer = trainer_of(job)
    policy = load_language_model(job.policy, CPU)
    scorer = RewardScorer.load(job.reward_model, policy)
    rewards = []
    for conversation, row in zip(job.conversations, trainer.train_dataset, strict=True):
        asked = encode_conversation(policy, conversation)
        ids = row["input_ids"]
        assert ids[: len(asked)] == asked
        assert row["labels"] == [-100] * len(asked) + ids[len(asked) :]
        answer = ids[len(asked) :]
        text = policy.tokenizer.decode(answer, skip_special_tokens=True)
        ended = answer[-1] in policy.eos_ids
        rewards.append(float(scorer.score([(conversation, text, ended)])[0]))
    told = {m.name: m.value for m in trainer.metrics}
    assert told["reward_best"] == pytest.approx(sum(rewards) / len(rewards), rel=1e-3)
    assert told["reward_best"] > told["reward_drawn"] + 0.1
