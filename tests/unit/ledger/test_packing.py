"""Stored texts say themselves whether they are packed."""

import base64
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlaif.errors import LedgerError
from rlaif.ledger.packing import packed, unpacked


@settings(derandomize=True, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 40))
def test_any_text_comes_back(text: str, times: int) -> None:
    stored = packed(text * times)
    assert unpacked(stored) == text * times
    assert len(stored.encode()) <= max(len((text * times).encode()), 40)


def test_what_is_stored_can_be_read_by_anything_that_knows_zlib() -> None:
    text = '{"token": "礼貌", "logprob": -0.25}' * 30
    stored = packed(text)
    assert stored.startswith("zlib:")
    assert zlib.decompress(base64.b64decode(stored[5:])).decode("utf-8") == text
    assert 5 * len(stored) < len(text)


def test_a_short_text_stays_as_it_is_and_one_that_looks_packed_is_packed() -> None:
    assert packed('{"a": 1}') == '{"a": 1}'
    assert packed("zlib:") != "zlib:"
    assert unpacked(packed("zlib:eJw=")) == "zlib:eJw="


@pytest.mark.parametrize("stored", ["zlib:ä", "zlib:AAAA", "zlib:", "zlib:eJyrAAAA"])
def test_a_damaged_text_is_no_text(stored: str) -> None:
    with pytest.raises(LedgerError, match="a stored text is damaged"):
        unpacked(stored)
