from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlaif.judges import (
    PAIR_LABELS,
    Judge,
    JudgeRequest,
    SentenceEncoder,
    Writer,
    WriteRequest,
    rating_labels,
)
from rlaif.judges.protocol import cut_off, write_hash
from rlaif.testing import HashEmbedder, ScriptedJudge, ScriptedWriter, make_tiny_lm


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForCausalLM.from_pretrained(folder).state_dict()


def test_a_tiny_model_is_the_same_each_time_and_other_with_another_seed(tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    one, two, other = (
        weights(make_tiny_lm(tmp_path / name, seed=seed))
        for name, seed in (("one", 0), ("two", 0), ("other", 1))
    )
    assert torch.equal(torch.random.get_rng_state(), state), "global randomness is left alone"
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["lm_head.weight"], other["lm_head.weight"])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_weights_are_stored_as_asked(tmp_path: Path, dtype: str) -> None:
    make_tiny_lm(tmp_path, dtype=dtype)  # type: ignore[arg-type]
    assert weights(tmp_path)["lm_head.weight"].dtype == getattr(torch, dtype)


@pytest.mark.parametrize("text", ["héllo 世界\n\n  ok\t!", "Verdict: A", " 1 2 10", "👩\u200d🔬"])
@pytest.mark.parametrize("texts", [(), ("Verdict: A 1 2",)])
def test_any_text_survives_the_tiny_tokenizer(
    tmp_path: Path, text: str, texts: tuple[str, ...]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(make_tiny_lm(tmp_path, vocab_texts=texts))
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_what_a_tiny_tokenizer_can_be_asked_for(tmp_path: Path) -> None:
    plain = AutoTokenizer.from_pretrained(make_tiny_lm(tmp_path / "a", context=99))
    other = AutoTokenizer.from_pretrained(
        make_tiny_lm(tmp_path / "b", chat=False, pad_is_eos=True, vocab_texts=())
    )
    assert plain.pad_token_id != plain.eos_token_id
    assert plain.model_max_length == 99
    talk = [{"role": "user", "content": "Hi"}]
    assert plain.apply_chat_template(talk, tokenize=False, add_generation_prompt=True) == (
        "<|user|>Hi<|end|><|assistant|>"
    )
    assert other.pad_token_id == other.eos_token_id
    assert other.chat_template is None
    assert len(other.encode(" A")) == 2
    assert len(plain.encode(" A")) == 1


def test_shared_words_are_near() -> None:
    encoder: SentenceEncoder = HashEmbedder()
    rows = encoder.encode(["red apple pie", "Red apple!", "tall ship", ""])
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0)
    near, far = rows[0] @ rows[1], rows[0] @ rows[2]
    assert near > 0.6 > 0.4 > abs(far)
    assert encoder.encode([]).shape == (0, 64)
    assert np.array_equal(encoder.encode(["tall ship"])[0], rows[2])


def ask(judge: Judge, labels: tuple[str, ...], *shown: str) -> dict[str, float]:
    (reply,) = judge.judge([JudgeRequest("text", labels, "c", shown)])
    assert reply.call is not None
    return dict(reply.call.label_probs)


def test_a_judge_with_a_taste_is_fair_to_both_orders() -> None:
    judge = ScriptedJudge.preferring(lambda text: len(text) / 10)
    assert ask(judge, PAIR_LABELS, "xxx", "xxx") == {"A": 0.5, "B": 0.5}
    there, back = ask(judge, PAIR_LABELS, "x", "xxxxx"), ask(judge, PAIR_LABELS, "xxxxx", "x")
    assert there["A"] == pytest.approx(back["B"])
    assert there["B"] > 0.9
    rated = ask(judge, rating_labels(5), "xxx")
    assert sum(rated.values()) == pytest.approx(1.0)
    assert sum(int(k) * p for k, p in rated.items()) == pytest.approx(1 + 0.3 * 4)


def test_a_scripted_writer_writes_by_its_script_and_is_cut_off_at_its_limit() -> None:
    judge = ScriptedWriter(lambda _: {}, lambda request: f"Say {request.text} again", "w")
    whole, short = judge.write([WriteRequest("利马", 3), WriteRequest("Lima", 2)])
    assert (whole.text, whole.failure) == ("Say 利马 again", None)
    assert (short.text, short.failure) == ("Say Lima", cut_off(2))
    assert short.call is not None
    assert short.call.request_hash == write_hash(judge.digest, WriteRequest("Lima", 2))
    assert [request.text for request in judge.written] == ["利马", "Lima"]
    assert isinstance(judge, Writer)
    assert not isinstance(ScriptedJudge(lambda _: {}), Writer)
