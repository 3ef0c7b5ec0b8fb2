"""The shared training loop: what counts in the loss, in which order, at which rate."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import log_softmax
from transformers import PreTrainedTokenizerFast

from rlaif.bundled import teacher
from rlaif.bundled.cards import write_card
from rlaif.bundled.corpus import Mixture, examples
from rlaif.bundled.tokens import END, PAD, label_ids, train_tokenizer, training_texts
from rlaif.bundled.train_judge import judge_sequence
from rlaif.bundled.train_policy import load_model, policy_sequence, sample, save_model
from rlaif.bundled.training import (
    TYPICAL_TOKENS,
    Schedule,
    Sequence,
    batch_loss,
    bucketed,
    fit,
    new_model,
    sequence_loss,
)
from rlaif.errors import ModelError
from rlaif.seeds import seed_everything, torch_generator


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(training_texts(np.random.default_rng(0), 600))


def test_the_rate_warms_up_and_decays_to_a_twentieth() -> None:
    schedule = Schedule(examples=1_000, batch=10, peak=1.0, warm_up=10)
    assert schedule.steps == 100
    assert schedule.rate(0) == pytest.approx(0.1)
    assert schedule.rate(9) == pytest.approx(1.0)
    assert schedule.rate(55) == pytest.approx(0.05 + 0.95 * 0.5)
    assert schedule.rate(100) == pytest.approx(0.05)


def test_the_loss_is_the_weighted_sum_of_negative_log_probs() -> None:
    seed_everything(0)
    model = new_model(32, 0, 1)
    ids = torch.tensor([[3, 4, 5, 6], [7, 8, 1, 0]])
    weights = torch.tensor([[0.0, 0.1, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0]])
    logs = log_softmax(model(input_ids=ids).logits.detach().double(), dim=-1)
    expected = 0.0
    for row in range(2):
        for place in range(1, 4):
            told = logs[row, place - 1, ids[row, place]]
            expected -= float(weights[row, place] * told)
    assert batch_loss(model, ids, weights).item() == pytest.approx(
        expected / (2 * TYPICAL_TOKENS), rel=1e-4
    )


def test_batches_hold_texts_of_like_length_and_lose_none() -> None:
    rng = np.random.default_rng(0)
    made = [Sequence([1] * int(n), [1.0] * int(n)) for n in rng.integers(2, 60, size=400)]
    batches = list(bucketed(rng, made, 10))
    assert sorted(len(s.ids) for b in batches for s in b) == sorted(len(s.ids) for s in made)
    spreads = [max(len(s.ids) for s in b) - min(len(s.ids) for s in b) for b in batches]
    assert np.mean(spreads) < 4


def test_training_learns() -> None:
    seed_everything(1)
    model = new_model(32, 0, 1)
    made = [Sequence([5, 6, 7, 8, 1], [0.0, 1.0, 1.0, 1.0, 1.0])] * 160
    told: list[str] = []
    schedule = Schedule(examples=160, batch=4, peak=3e-3, warm_up=5)
    last = fit(model, made, sequence_loss, schedule, np.random.default_rng(0), told.append)
    assert last < 0.1 * 4 * math.log(32) / TYPICAL_TOKENS


def test_a_policy_text_ends_only_where_the_answer_does(tokenizer: PreTrainedTokenizerFast) -> None:
    for example in examples(np.random.default_rng(1), 60, Mixture(run_on=0.5)):
        sequence = policy_sequence(tokenizer, example)
        assert len(sequence.ids) == len(sequence.weights) <= 76
        assert (sequence.ids[-1] == tokenizer.eos_token_id) == example.ended
        assert sequence.weights[0] == pytest.approx(0.1)
        assert sequence.weights[-1] == 1.0


def test_a_lesson_counts_only_the_reply(tokenizer: PreTrainedTokenizerFast) -> None:
    lesson = teacher.Lesson("correct: x", "A: short.", " 3")
    sequence = judge_sequence(tokenizer, lesson)
    counted = [i for i, w in zip(sequence.ids, sequence.weights, strict=True) if w]
    assert tokenizer.decode(counted) == f"A: short.\nVerdict: 3{END}"
    assert counted[-2] == label_ids(tokenizer, (" 1", " 3"))[1]


def test_a_label_of_two_tokens_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ModelError, match="exactly one token more"):
        label_ids(tokenizer, (" A", " Zq"))


def test_special_tokens_stand_first(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.convert_tokens_to_ids([PAD, END]) == [0, 4]
    assert tokenizer.pad_token_id == 0
    assert tokenizer.eos_token_id == 4


def test_a_model_is_stored_in_half_precision_and_comes_back_in_full(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    seed_everything(2)
    model = new_model(len(tokenizer), 0, 4).eval()
    save_model(model, tokenizer, tmp_path)
    again, reader = load_model(tmp_path)
    assert again.dtype == torch.float32
    assert reader.encode("It is Paris.") == tokenizer.encode("It is Paris.")
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(again(ids).logits, model(ids).logits, atol=2e-2, rtol=0)


def test_sampling_keeps_the_order_of_prompts_and_is_seeded(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    seed_everything(3)
    model = new_model(len(tokenizer), 0, 4).eval()
    prompts = ["What is 1 plus 2? Thank you!", "Hi", "Tell me the capital of Peru."]
    one = sample(model, tokenizer, prompts, torch_generator(5), new_tokens=6)
    two = sample(model, tokenizer, prompts, torch_generator(5), new_tokens=6)
    assert one == two
    greedy = sample(model, tokenizer, prompts, torch_generator(5), temperature=0, new_tokens=6)
    alone = [
        sample(model, tokenizer, [p], torch_generator(5), temperature=0, new_tokens=6)[0]
        for p in prompts
    ]
    assert greedy == alone


def test_a_card_tells_command_settings_and_figures(tmp_path: Path) -> None:
    write_card(tmp_path, "policy", "make it", {"right": 0.5}, {"good": 0.12})
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "    make it\n" in card
    assert '"right": 0.5' in card
    assert '"good": 0.12' in card
