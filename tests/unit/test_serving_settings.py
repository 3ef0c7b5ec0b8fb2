"""Settings of servers and budgets."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rlaif.config.serving import BudgetConfig, ServerConfig
from rlaif.errors import ConfigError
from rlaif.toml_source import ContradictionError, read_toml

ENOUGH: dict[str, Any] = {"endpoints": ["https://x.example/v1"], "model": "m"}


def test_defaults_ask_nobody_and_limit_nothing() -> None:
    assert ServerConfig().endpoints == ()
    assert set(BudgetConfig().model_dump().values()) == {"off"}
    ServerConfig.model_validate(ENOUGH).check("judge", "server")


@pytest.mark.parametrize("section", [ServerConfig, BudgetConfig])
def test_every_setting_is_described(section: Any) -> None:
    assert section.__doc__
    assert all(field.description for field in section.model_fields.values())


def test_toml_lists_are_addresses(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('endpoints = ["http://127.0.0.1:1/v1", "http://b/v1"]\nmodel = "m"\n')
    found = read_toml(path).validate(ServerConfig)
    assert found.endpoints == ("http://127.0.0.1:1/v1", "http://b/v1")


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("localhost:8000", "addresses such as"),
        ("ftp://x/v1", "addresses such as"),
        ("http:///v1", "addresses such as .* number 1 is not"),
        ("http://me:sk-secret@x/v1", "no user, password"),
        ("http://x/v1?key=sk-secret", "no user, password"),
    ],
)
def test_what_is_no_address_is_refused(tmp_path: Path, address: str, seen: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f'model = "m"\nendpoints = ["{address}"]\n')
    with pytest.raises(ConfigError, match=seen) as raised:
        read_toml(path).validate(ServerConfig)
    assert raised.value.line == 2
    assert address not in str(raised.value)
    assert "sk-secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("setting", "seen"),
    [
        ('key_variable = "sk-SECRET-1234567890"', "capitals, digits and underscores"),
        ('key_variable = "0123456789abcdefSECRET"', "capitals, digits and underscores"),
        ('key_variable = ["sk-SECRET"]', "a text"),
        ('key_file = ["sk-SECRET"]', "a text"),
        ('endpoints = "http://me:sk-SECRET@x/v1"', "a list"),
        ('endpoints = [["sk-SECRET"]]', "a text"),
    ],
)
def test_what_may_be_a_key_in_the_wrong_place_is_not_shown(
    tmp_path: Path, setting: str, seen: str
) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f'model = "m"\n{setting}\n')
    with pytest.raises(ConfigError, match=seen) as raised:
        read_toml(path).validate(ServerConfig)
    assert raised.value.line == 2
    assert "(not shown, it may hold a key)" in str(raised.value)
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        {"endpoints": ["http://x/v1", "http://x/v1"]},
        {"max_in_flight": 0},
        {"samples": 0},
        {"temperature": -1.0},
        {"total_seconds": 0.0},
        {"reply_format": "xml"},
        {"prompt_price": -1.0},
        {"retries": 3},
    ],
)
def test_wrong_values_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ServerConfig.model_validate({**ENOUGH, **change})


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"endpoints": []}, "judge.server.endpoints"),
        ({"model": " "}, "judge.server.model"),
        ({"key_file": "k", "key_variable": "K"}, "judge.server.key_file"),
        ({"samples": 3}, "judge.server.samples"),
    ],
)
def test_what_cannot_stand_together_is_refused(change: dict[str, Any], place: str) -> None:
    config = ServerConfig.model_validate({**ENOUGH, **change})
    with pytest.raises(ContradictionError, match=place):
        config.check("judge", "server")


@pytest.mark.parametrize("value", [0, -1, "on", 1.5])
def test_a_limit_is_off_or_above_nothing(value: Any) -> None:
    with pytest.raises(ValidationError):
        BudgetConfig.model_validate({"cycle_calls": value})
