"""Keys come from the environment or a file of the owner's, and nothing shows them."""

import copy
import json
import os
import urllib.parse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.config.secrets import REDACTED, SHORTEST, Secret, read_key
from rlaif.errors import ConfigError

KEY = "sk-0123456789abcdef"


def key_file(folder: Path, text: str = KEY, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_key_comes_from_the_variable_that_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_JUDGE", f" {KEY}\n")
    found = read_key("MY_JUDGE", "", tmp_path)
    assert found is not None
    assert found.reveal() == KEY
    assert read_key("", "", tmp_path) is None


def test_a_key_comes_from_a_file(tmp_path: Path) -> None:
    key_file(tmp_path, KEY + "\n")
    found = read_key("", "key", tmp_path)
    assert found is not None
    assert found.reveal() == KEY
    absolute = read_key("", str(tmp_path / "key"), Path("/nowhere"))
    assert absolute is not None
    assert absolute.reveal() == KEY


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o700, 0o400, 0o777])
def test_a_file_that_is_not_the_owners_alone_is_refused(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path, mode=mode)
    with pytest.raises(ConfigError) as raised:
        read_key("", "key", tmp_path)
    assert f"{mode:04o}" in str(raised.value)
    assert f"chmod 600 {path}" in str(raised.value)
    assert KEY not in str(raised.value)


def test_a_file_of_someone_elses_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_file(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(ConfigError, match="a file of user 4242"):
        read_key("", "key", tmp_path)


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="not a file"):
        read_key("", "pipe", tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key("", "none", tmp_path)
    with pytest.raises(ConfigError, match=r"cannot be read|not a file"):
        read_key("", ".", tmp_path)


@pytest.mark.parametrize("name", [KEY, "eyJh/bGci.abc", "k" * 3_000, f"{KEY}/x", "a\0b"])
def test_a_key_in_place_of_its_files_name_is_not_shown(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="the file that key_file names") as raised:
        read_key("", name, tmp_path)
    assert name not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_a_variable_that_is_not_set_is_named(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MY_JUDGE", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_JUDGE", value)
    with pytest.raises(ConfigError, match="MY_JUDGE is not set, or empty"):
        read_key("MY_JUDGE", "", tmp_path)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", "0 characters"),
        ("short", "5 characters"),
        (f"{KEY} {KEY}", "more than one word"),
        (f"{KEY}\n{KEY}", "more than one word"),
        ("钥匙钥匙钥匙钥匙钥匙", "other than ASCII"),
        ("k" * 5000, "over 4096"),
        (f'"{KEY}"', "quotes"),
        (f"{KEY}\\", "backslashes"),
    ],
)
def test_what_cannot_be_a_key_is_refused_without_being_shown(
    tmp_path: Path, text: str, seen: str
) -> None:
    key_file(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        read_key("", "key", tmp_path)
    assert seen in str(raised.value)
    assert KEY not in str(raised.value)
    assert "钥" not in str(raised.value)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    key_file(tmp_path).write_bytes(b"\xff\xfe" * 10)
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_key("", "key", tmp_path)


def test_nothing_shows_a_key() -> None:
    secret = Secret(KEY)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>30}", repr([secret])):
        assert KEY not in shown
    assert not hasattr(secret, "__dict__")
    for away in (copy.copy, copy.deepcopy, Secret.__reduce__):
        with pytest.raises(TypeError, match="not to be pickled or copied"):
            away(secret)


SIGNS = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'\\")
KEYS = st.text(SIGNS, min_size=SHORTEST, max_size=30)


@given(KEYS, st.text(max_size=10), st.text(max_size=10))
def test_a_key_is_taken_out_of_any_text(key: str, before: str, after: str) -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
    forms = [key, json.dumps(key), json.dumps(key).replace("/", "\\/"), f'"{escaped}"']
    forms += [urllib.parse.quote(key, safe=""), json.dumps(f"Bearer {key}")]
    for form in forms:
        found = Secret(key).redact(before + form + after)
        assert key not in found.replace(REDACTED, "\0")
        assert key not in found or key in REDACTED
        if form.startswith('"'):
            inner = Secret(key).redact(form)
            assert key not in str(json.loads(inner))


@given(st.text(max_size=60))
def test_a_text_without_the_key_stays_as_it_is(text: str) -> None:
    assert Secret("zq" * 9).redact(text) == text


def test_other_escapes_are_left_alone() -> None:
    text = '{"content": "caf\\u00e9 \\u0041 \\n \\\\u0041"}'
    assert Secret(KEY).redact(text) == text
