"""Servers' replies: kept once, durable at once, and added up by cycle and by day."""

import json
from pathlib import Path

import pytest
from ledger_samples import begin

from rlaif.errors import LedgerError
from rlaif.ledger import clock
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.records import MAX_TOKENS, Spent, StoredReply

DAY = "2026-11-29"


def reply(key: str, raw: str = '{"choices": ["\u597d"]}', **fields: float) -> StoredReply:
    given = {"prompt_tokens": 40, "reply_tokens": 8, "latency": 0.5, "cost": 0.25} | fields
    return StoredReply(key=key, judge="digest", model="judge-8b", raw=raw, **given)


def at(monkeypatch: pytest.MonkeyPatch, time: str) -> None:
    monkeypatch.setattr(clock, "iso_now", lambda: f"{time}.000000+00:00")


def test_a_reply_is_there_for_others_as_soon_as_it_is_added(ledger: Ledger, path: Path) -> None:
    with LedgerReader.open(path) as reader:
        assert reader.reply("a") is None
        ledger.add_replies([reply("a")], cycle=1)
        assert reader.reply("a") == reply("a")


def test_a_known_key_keeps_its_first_reply_and_a_second_one_counts(ledger: Ledger) -> None:
    """Two processes may ask the same at once: both replies are paid for, and one is used."""
    first = ledger.add_replies([reply("a")])
    assert (list(first.numbers), first.stored) == ([1], [reply("a")])
    late = reply("a", raw="another", cost=9.0)
    both = [late, reply("b", cost=0.5), reply("b", raw="again", cost=0.125)]
    found = ledger.add_replies(both, cycle=1)
    assert (list(found.numbers), found.stored) == ([2, 3, 4], [reply("a"), both[1], both[1]])
    assert ledger.reply("a") == reply("a")
    assert ledger.reply("b") == both[1]
    assert ledger.spent() == Spent(calls=4, tokens=192, money=9.875)
    assert ledger.spent(cycle=1) == Spent(calls=3, tokens=144, money=9.625)
    assert ledger.reply("refused 2 a") == late.model_copy(update={"key": "refused 2 a"})


def test_counts_that_no_reply_can_have_leave_a_sum(ledger: Ledger) -> None:
    """Rows of before, when a server's word was taken for any count, must not end all runs."""
    rows = [reply(key, prompt_tokens=2**62, reply_tokens=2**62) for key in "ab"]
    numbers = ledger.add_replies([*rows, reply("c")], cycle=1).numbers
    expected = Spent(calls=3, tokens=4 * MAX_TOKENS + 48, money=0.75)
    assert ledger.spent(cycle=1) == ledger.spent_by(numbers, "2026") == expected


def test_what_was_paid_in_vain_counts_each_time_and_is_never_found(ledger: Ledger) -> None:
    raw = "\u4e0d\u662f JSON \U0001f642"
    wrong = reply("a", raw=raw, prompt_tokens=7, reply_tokens=0, cost=0.125)
    ledger.add_replies([wrong, wrong], cycle=1, refused=True)
    ledger.add_replies([wrong], cycle=1, refused=True)
    assert ledger.reply("a") is None
    assert ledger.spent(cycle=1) == Spent(calls=3, tokens=21, money=0.375)
    ledger.add_replies([reply("a")], cycle=1)
    ledger.add_replies([wrong], refused=True)
    assert ledger.reply("a") == reply("a")
    assert ledger.spent() == Spent(calls=5, tokens=76, money=0.75)
    raws = ledger.connection.execute("SELECT raw FROM replies WHERE key LIKE 'refused %'")
    assert [row["raw"] for row in raws] == [wrong.raw] * 4


def test_spending_is_added_up_by_cycle_and_by_day(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, "2026-11-28T23:59:59")
    ledger.add_replies([reply("late", prompt_tokens=1, reply_tokens=0)], cycle=1)
    at(monkeypatch, f"{DAY}T00:00:00")
    ledger.add_replies([reply("first", prompt_tokens=2, reply_tokens=0)])
    at(monkeypatch, f"{DAY}T23:59:59")
    ledger.add_replies([reply("last", prompt_tokens=4, reply_tokens=0)], cycle=1)
    at(monkeypatch, "2026-11-30T00:00:00")
    ledger.add_replies([reply("next", prompt_tokens=8, reply_tokens=0)], cycle=1)
    assert ledger.spent(day=DAY) == Spent(calls=2, tokens=6, money=0.5)
    assert ledger.spent(cycle=1) == Spent(calls=3, tokens=13, money=0.75)
    assert ledger.spent(cycle=1, day=DAY) == Spent(calls=1, tokens=4, money=0.25)
    assert ledger.spent(cycle=2) == Spent()
    assert ledger.spent().tokens == 15


def test_a_reply_of_a_cycle_that_was_never_begun_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="refers to a row of cycles"):
        ledger.add_replies([reply("a")], cycle=7)
    assert ledger.reply("a") is None


def test_replies_do_not_change_the_digest(ledger: Ledger) -> None:
    begin(ledger)
    before = ledger.digest()
    ledger.add_replies([reply("a")], cycle=1)
    assert ledger.digest() == before


def log_probs(count: int) -> str:
    """Return a body as servers send it with log-probs."""
    tokens = [
        {"token": f" {i}", "logprob": -i / 7, "bytes": [32, *str(i).encode()], "top_logprobs": []}
        for i in range(count)
    ]
    said = {"role": "assistant", "content": "礼貌"}
    return json.dumps({"choices": [{"message": said, "logprobs": {"content": tokens}}]})


def test_a_long_reply_is_kept_in_half_the_room_and_read_as_it_came(ledger: Ledger) -> None:
    raw = log_probs(100)
    ledger.add_replies([reply("long", raw=raw), reply("short", raw="{}")], cycle=1)
    assert ledger.reply("long") == reply("long", raw=raw)
    sizes = dict(ledger.connection.execute("SELECT key, length(raw) FROM replies"))
    assert 2 * sizes["long"] < len(raw)
    assert sizes["short"] == 2


def test_replies_of_before_are_read_as_they_are(ledger: Ledger) -> None:
    raw = log_probs(100)
    ledger.add_replies([reply("a", raw=raw)], cycle=1)
    ledger.connection.execute("UPDATE replies SET raw = ?", (raw,))
    assert ledger.reply("a") == reply("a", raw=raw)
