"""Decoding against the library's own generate, and what batches must not change."""

import dataclasses
from pathlib import Path

import pytest
import torch

from rlaif.errors import ModelError
from rlaif.models.actor_critic import (
    ValueHead,
    heard_before,
    response_states,
    score_responses,
)
from rlaif.models.branch import branch_of
from rlaif.models.decoding import DecodeSettings, decode
from rlaif.models.drawing import uniforms
from rlaif.models.encoding import encode_conversation
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.models.stepping import Step, stepper
from rlaif.models.tap import Tap
from rlaif.records import Message
from rlaif.rl import Rollout
from rlaif.seeds import torch_generator
from rlaif.testing import make_tiny_lm
from tests.unit.models.apple import MPS, Apple

CPU = torch.device("cpu")
TEXTS = ("Hello there, how are you?", "No", "What is the capital of France? 你好")


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_language_model(str(make_tiny_lm(tmp_path_factory.mktemp("lm"))), CPU)


def queries(lm: LanguageModel, texts: tuple[str, ...] = TEXTS) -> list[list[int]]:
    return [encode_conversation(lm, [Message(role="user", content=t)]) for t in texts]


def test_greedy_decoding_equals_the_librarys(lm: LanguageModel) -> None:
    found = decode(lm, queries(lm), DecodeSettings(20))
    for query, answer in zip(queries(lm), found, strict=True):
        theirs = lm.model.generate(torch.tensor([query]), max_new_tokens=20, do_sample=False)
        assert list(answer.token_ids) == theirs[0, len(query) :].tolist()


def test_sampling_is_a_function_of_the_generator(lm: LanguageModel) -> None:
    settings = DecodeSettings(24, 1.0)
    first = decode(lm, queries(lm), settings, torch_generator(5))
    assert first == decode(lm, queries(lm), settings, torch_generator(5))
    assert first != decode(lm, queries(lm), settings, torch_generator(6))


def test_any_of_the_end_tokens_ends_a_row(lm: LanguageModel) -> None:
    asked, settings = queries(lm) * 4, DecodeSettings(24, 1.0)
    free = decode(lm, asked, settings, torch_generator(5))
    another = free[0].token_ids[3]
    both = dataclasses.replace(lm, eos_ids=lm.eos_ids | {another})
    ended = decode(both, asked, settings, torch_generator(5))
    assert lm.end_id != another
    for whole, cut in zip(free, ended, strict=True):
        places = [i for i, token in enumerate(whole.token_ids) if token in both.eos_ids]
        length = places[0] + 1 if places else len(whole.token_ids)
        assert cut.token_ids == whole.token_ids[:length]
        assert cut.ended == bool(places)


def test_on_a_device_without_float64_the_same_is_sampled(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, settings = queries(lm) * 20, DecodeSettings(60, 1.5)
    expected = decode(lm, asked, settings, torch_generator(4))
    assert len({len(answer.token_ids) for answer in expected}) > 5, "rows leave at many moments"
    monkeypatch.setattr("rlaif.models.decoding.stepper", ReadsOnTheCpu)
    there = dataclasses.replace(lm, device=MPS)
    with Apple():
        found = decode(there, asked, settings, torch_generator(4, str(there.device)))
    assert [a.token_ids for a in found] == [a.token_ids for a in expected]
    assert [a.logprobs for a in found] == [pytest.approx(a.logprobs, abs=1e-4) for a in expected]


class ReadsOnTheCpu:
    """Takes and gives tensors of another device, where there is no model."""

    def __init__(self, lm: LanguageModel, rows: int, **_: object) -> None:
        self._own = stepper(lm, rows)

    def read(self, *given: torch.Tensor) -> Step:
        return Step(self._own.read(*(x.cpu() for x in given)).logits.to(MPS), None)

    def select(self, rows: torch.Tensor) -> None:
        self._own.select(rows.cpu())


def test_sampling_follows_the_models_probabilities(lm: LanguageModel) -> None:
    query = queries(lm)[0]
    with torch.no_grad():
        logits = lm.model(torch.tensor([query])).logits[0, -1]
    expected = (logits / 0.7).softmax(-1)
    drawn = decode(lm, [query] * 4_000, DecodeSettings(1, 0.7), torch_generator(1))
    counts = torch.bincount(torch.tensor([d.token_ids[0] for d in drawn]), minlength=len(expected))
    assert (counts / 4_000 - expected).abs().sum() / 2 < 0.12


def test_answers_end_at_the_end_token_and_rows_leave_early(lm: LanguageModel) -> None:
    found = decode(lm, queries(lm) * 40, DecodeSettings(60, 1.5), torch_generator(2))
    lengths = {len(d.token_ids) for d in found}
    assert len(lengths) > 5
    for answer in found:
        places = [i for i, t in enumerate(answer.token_ids) if t in lm.eos_ids]
        assert answer.ended == bool(places)
        assert places in ([], [len(answer.token_ids) - 1])
        assert answer.ended or len(answer.token_ids) == 60


def test_an_answer_whose_last_allowed_token_ends_it_has_ended_by_itself(lm: LanguageModel) -> None:
    asked = queries(lm) * 20
    free = decode(lm, asked, DecodeSettings(60, 1.5), torch_generator(2))
    table = uniforms(len(asked), 60, torch_generator(2))
    ended = [i for i, answer in enumerate(free) if answer.ended and len(answer.token_ids) < 60]
    assert ended
    row = max(ended, key=lambda i: len(free[i].token_ids))
    limit = len(free[row].token_ids)
    whole, cut = (
        decode(lm, [asked[row]], DecodeSettings(tokens, 1.5), uniform=table[row : row + 1, :tokens])
        for tokens in (limit, limit - 1)
    )
    assert whole[0].token_ids == free[row].token_ids
    assert whole[0].ended
    assert cut[0].token_ids == free[row].token_ids[:-1]
    assert not cut[0].ended


def test_rows_do_not_disturb_each_other(lm: LanguageModel) -> None:
    alone = [decode(lm, [query], DecodeSettings(20))[0] for query in queries(lm)]
    assert decode(lm, queries(lm), DecodeSettings(20)) == alone


def test_a_prompt_without_room_is_refused(lm: LanguageModel) -> None:
    with pytest.raises(ModelError, match="context"):
        decode(lm, [[3] * 250], DecodeSettings(20))


def test_nothing_to_decode_gives_nothing(lm: LanguageModel) -> None:
    assert decode(lm, [], DecodeSettings(3)) == []


def test_padding_that_equals_the_end_token_changes_nothing(tmp_path: Path) -> None:
    shared = load_language_model(str(make_tiny_lm(tmp_path / "a", pad_is_eos=True)), CPU)
    assert shared.pad_id in shared.eos_ids
    alone = [decode(shared, [query], DecodeSettings(12))[0] for query in queries(shared)]
    assert decode(shared, queries(shared), DecodeSettings(12)) == alone


@pytest.mark.parametrize("parts", [[slice(0, 20), slice(20, 60)], [slice(None, None, 2)]])
def test_what_a_row_draws_does_not_depend_on_the_rows_beside_it(
    lm: LanguageModel, parts: list[slice]
) -> None:
    asked, settings = queries(lm) * 20, DecodeSettings(60, 1.5)
    together = decode(lm, asked, settings, torch_generator(4))
    assert len({len(answer.token_ids) for answer in together}) > 5, "rows leave at many moments"
    table = uniforms(len(asked), 60, torch_generator(4))
    for part in parts:
        alone = decode(lm, asked[part], settings, uniform=table[part])
        assert [a.token_ids for a in alone] == [a.token_ids for a in together[part]]


@pytest.mark.parametrize("lean", [True, False])
def test_a_probe_sees_each_row_where_it_was_when_its_token_was_chosen(
    lm: LanguageModel, lean: bool
) -> None:
    lm = lm if lean else dataclasses.replace(lm, lean=None)
    head = ValueHead(lm.model.config.hidden_size)
    torch.nn.init.normal_(head.weight, generator=torch_generator(6))
    asked = queries(lm) * 20
    found = decode(lm, asked, DecodeSettings(60, 1.5), torch_generator(4), head)
    assert len({len(answer.token_ids) for answer in found}) > 5, "rows leave at many moments"
    rollout = Rollout.from_lists(asked, [list(a.token_ids) for a in found], lm.pad_id)
    expected = score_responses(lm, rollout, 1.5, head)
    mask = rollout.response_mask
    values = torch.tensor([x for answer in found for x in answer.probed])
    torch.testing.assert_close(values, expected.values[mask], rtol=1e-4, atol=1e-4)
    logprobs = torch.tensor([x for answer in found for x in answer.logprobs])
    torch.testing.assert_close(logprobs, expected.logprobs[mask], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lean", [True, False])
def test_a_tap_hears_of_each_row_what_a_pass_over_it_would_say(
    lm: LanguageModel, lean: bool
) -> None:
    lm = lm if lean else dataclasses.replace(lm, lean=None)
    asked = queries(lm) * 20
    found = decode(lm, asked, DecodeSettings(60, 1.5), torch_generator(4), tap=Tap(1))
    assert len({len(answer.token_ids) for answer in found}) > 5, "rows leave at many moments"
    rollout = Rollout.from_lists(asked, [list(a.token_ids) for a in found], lm.pad_id)
    for row, answer in enumerate(found):
        alone, tap = rollout.select(slice(row, row + 1)).trim(), Tap(1)
        with torch.no_grad():
            response_states(lm, alone, tap=tap)
        stream = answer.stream
        assert stream is not None
        assert stream.shape[0] == len(asked[row]) + len(answer.token_ids) - 1
        whole = tap.heard.reshape(-1, stream.shape[1])[: len(stream)]
        torch.testing.assert_close(stream, whole, rtol=1e-4, atol=1e-4)
    streams = [answer.stream for answer in found if answer.stream is not None]
    with torch.no_grad():
        branch = branch_of(lm, 1)
        begun = response_states(branch, rollout, begin=heard_before(branch, rollout, streams, 1))
        torch.testing.assert_close(begun, response_states(lm, rollout), rtol=1e-4, atol=1e-4)
