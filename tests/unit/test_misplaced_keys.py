"""A key that stands among the settings is refused, never shown, and told its right place."""

from pathlib import Path

import pytest

from rlaif.config import read_config
from rlaif.errors import ConfigError, RubricError
from rlaif.judges.rubric import load_rubric

KEY = "sk-0123456789abcdef"
PLACES = ("key_variable", "key_file", "0600", "judge.server")


def refusal(path: Path, text: str) -> ConfigError:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        read_config(path)
    return raised.value


@pytest.mark.parametrize(
    "name",
    ["api_key", "apikey", "api-key", "key", "OPENAI_API_KEY", "token", "auth_token", "secret"],
)
@pytest.mark.parametrize("section", ["judge", "judge.server", "evaluation.judge.server", "run"])
def test_an_unknown_setting_that_looks_like_a_key_is_told_where_keys_belong(
    tmp_path: Path, section: str, name: str
) -> None:
    found = refusal(tmp_path / "rlaif.toml", f'[{section}]\n{name} = "{KEY}"\n')
    assert f"unknown key '{section}.{name}'" in found.seen
    assert all(place in found.action for place in PLACES)
    assert KEY not in str(found)
    assert ":2:" in str(found)


def test_of_a_juror_and_at_the_top_too(tmp_path: Path) -> None:
    juror = refusal(tmp_path / "a.toml", f'[[jurors]]\n[jurors.server]\napi_key = "{KEY}"\n')
    top = refusal(tmp_path / "b.toml", f'api_key = "{KEY}"\n')
    for found in (juror, top):
        assert all(place in found.action for place in PLACES)
        assert KEY not in str(found)


def test_a_variable_of_the_environment_likewise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLAIF_JUDGE__API_KEY", KEY)
    found = refusal(tmp_path / "rlaif.toml", "")
    assert all(place in found.action for place in PLACES)
    assert KEY not in str(found)


@pytest.mark.parametrize(
    ("name", "action"),
    [("key_variabel", "write 'key_variable'"), ("max_token", "write 'max_tokens'")],
)
def test_a_slip_of_the_pen_is_still_told_what_it_meant(
    tmp_path: Path, name: str, action: str
) -> None:
    found = refusal(tmp_path / "rlaif.toml", f'[judge.server]\n{name} = "x"\n')
    assert found.action == action


def test_what_knows_no_keys_says_remove_it(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('name = "r"\nversion = "1"\nlanguage = "en"\napi_key = "x"\n', encoding="utf-8")
    with pytest.raises(RubricError) as raised:
        load_rubric(path)
    assert raised.value.action == "remove it"
