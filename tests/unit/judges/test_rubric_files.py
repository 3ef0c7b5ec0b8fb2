import math
from pathlib import Path

import pytest
from judge_samples import DESK, judge_criterion, rubric, rule_criterion
from pydantic import ValidationError

from rlaif.errors import RubricError
from rlaif.judges import Rubric, load_rubric, rubric_hash
from rlaif.judges.rubric import EmbeddingCriterion, JudgeCriterion, RuleCriterion
from rlaif.project import share

LINES = {text: number for number, text in enumerate(DESK.splitlines(), start=1)}


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rubric.toml"
    path.write_text(text, encoding="utf-8")
    return path


def read(tmp_path: Path, text: str) -> Rubric:
    return load_rubric(write(tmp_path, text))


def test_a_whole_rubric_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, DESK)
    right, ends, near = found.criteria
    assert (found.name, found.version, found.language) == ("desk", "3", "en")
    assert isinstance(right, JudgeCriterion)
    assert right.choices == ("wrong", "half right", "right")
    assert (right.veto, right.threshold, right.description) == (True, 0.25, "For people.")
    assert isinstance(ends, RuleCriterion)
    assert ends.weight == 1.0
    assert ends.rule.ends_with == (".",)
    assert ends.rule.must_not_match == ("foo", "ba+r")
    assert ends.rule.min_words is None
    assert isinstance(near, EmbeddingCriterion)
    assert near.near == ("a friendly answer", "a warm answer")
    assert found.judge_criteria == (right,)
    assert found.embedding_criteria == (near,)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('kind = "judge"', 'kind = "juge"', ["kind = 'juge'", "judge, rule, embedding", "'judge'"]),
        ('kind = "judge"', "kind = 3", ["kind = 3", "judge, rule, embedding"]),
        ("weight = 0.6", "weight = -0.5", ["weight = -0.5", "a number of at least 0"]),
        ("weight = 0.6", "weight = inf", ["weight = inf", "finite"]),
        ("weight = 0.6", "weight = nan", ["weight = nan"]),
        ("weight = 0.6", 'weight = "much"', ["weight = 'much'", "number"]),
        ("weight = 0.6", "wieght = 0.6", ["weight"]),
        ("threshold = 0.25", "threshold = 1.5", ["threshold = 1.5", "a number of at most 1"]),
        ("threshold = 0.25", "threshold = 0.0", ["threshold = 0.0", "a number above 0"]),
        ("veto = true", "veto = 1", ["veto = 1", "true or false"]),
        ('text = "The answer is right."', 'text = " "', ["text = ' '", "not blank"]),
        (
            'text = "The answer is right."',
            'txet = "Right."',
            ["unknown key", "txet", "write 'text'"],
        ),
        (
            'choices = ["wrong", "half right", "right"]',
            'choices = ["only one"]',
            ["choices = ['only one']", "at least 2"],
        ),
        (
            'choices = ["wrong", "half right", "right"]',
            'choices = ["same", "same"]',
            ["choices", "all differ"],
        ),
        (
            'choices = ["wrong", "half right", "right"]',
            f"choices = {[str(n) for n in range(10)]}",
            ["choices", "at most 9"],
        ),
        ('name = "ends"', 'name = "right"', ["second criterion named 'right'", "rename"]),
        (
            'near = ["a friendly answer", "a warm answer"]',
            'to = "answer"',
            ["to = 'answer'", "'prompt'"],
        ),
        ('near = ["a friendly answer", "a warm answer"]', "near = [1]", ["near.0 = 1", "a text"]),
        ('near = ["a friendly answer", "a warm answer"]', "near = []", ["near = []"]),
        ('version = "3"', "version = 3", ["version = 3", "a text"]),
        ('language = "en"', "langage = 1", ["unknown key 'langage'", "write 'language'"]),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    path = write(tmp_path, DESK.replace(old, new, 1))
    with pytest.raises(RubricError) as caught:
        load_rubric(path)
    message = str(caught.value)
    for word in words:
        assert word in message
    assert caught.value.path == path
    missing = "missing" in message
    if not missing:
        assert caught.value.line == LINES[old]
        assert f"{path}:{LINES[old]}: " in message
    assert caught.value.exit_code == 78


RULE_LINE = LINES[
    'rule = { ends_with = ".", must_not_match = ["foo", "ba+r"], max_words = 40, language = "en" }'
]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("{}", ["one or more of", "min_words", "language"]),
        ("{ min_wrds = 3 }", ["unknown key 'rule.min_wrds'", "write 'min_words'"]),
        ("{ min_words = 0 }", ["rule.min_words = 0"]),
        ("{ min_words = 2.5 }", ["rule.min_words = 2.5", "a whole number"]),
        ("{ min_words = 9, max_words = 4 }", ["rule.max_words = 4", "at least min_words = 9"]),
        ('{ must_match = "(" }', ["'('", "regular expression"]),
        ('{ must_match = ["ok", "[z"] }', ["rule.must_match.1 = '[z'", "regular expression"]),
        ("{ must_match = [] }", ["rule.must_match"]),
        ("{ ends_with = 3 }", ["rule.ends_with = 3"]),
        ("{ max_repetition = 1.5 }", ["rule.max_repetition = 1.5"]),
        ('{ language = "klingon" }', ["rule.language = 'klingon'", "zh"]),
        ('"words"', ["rule = 'words'"]),
    ],
)
def test_a_broken_rule_is_named(tmp_path: Path, rule: str, words: list[str]) -> None:
    lines = DESK.splitlines()
    lines[RULE_LINE - 1] = f"rule = {rule}"
    with pytest.raises(RubricError) as caught:
        read(tmp_path, "\n".join(lines))
    for word in words:
        assert word in str(caught.value)
    assert caught.value.line == RULE_LINE


@pytest.mark.parametrize(
    ("after", "extra", "words"),
    [
        ('kind = "rule"', "colour = 1", ["unknown key 'colour'", "rule", "weight"]),
        ('kind = "rule"', "thresold = 0.5", ["unknown key 'thresold'", "write 'threshold'"]),
        ('kind = "rule"', 'text = "x"', ["unknown key 'text'"]),
        ('kind = "rule"', "threshold = 0.5", ["threshold = 0.5", "veto = true"]),
        ('kind = "embedding"', 'to = "prompt"', ["to = 'prompt'", "either near"]),
        ('version = "3"', 'scael = "1-5"', ["unknown key 'scael'"]),
    ],
)
def test_a_key_too_many_is_named(tmp_path: Path, after: str, extra: str, words: list[str]) -> None:
    with pytest.raises(RubricError) as caught:
        read(tmp_path, DESK.replace(after, f"{after}\n{extra}", 1))
    for word in words:
        assert word in str(caught.value)
    assert caught.value.line == LINES[after] + 1


def test_a_veto_needs_a_threshold(tmp_path: Path) -> None:
    with pytest.raises(RubricError, match="veto = true"):
        read(tmp_path, DESK.replace("threshold = 0.25\n", ""))


def test_a_criterion_without_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(RubricError, match="without a kind") as caught:
        read(tmp_path, DESK.replace('kind = "rule"\n', ""))
    assert caught.value.line == LINES['name = "ends"'] - 1


def test_weights_that_sum_to_zero_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RubricError, match="weights that sum to 0") as caught:
        read(tmp_path, DESK.replace("weight = 0.6", "weight = 0.0").replace("= 1\n", "= 0\n"))
    assert caught.value.line == LINES["weight = 0.6"]


def test_weights_that_overflow_are_refused() -> None:
    big = [judge_criterion(name, weight=1.7e308) for name in ("a", "b")]
    with pytest.raises(ValidationError, match="sum to inf"):
        rubric(*big)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = \n", "not valid TOML"),
        ('name = "x"\nversion = "1"\nlanguage = "en"\n', "'criteria' is missing"),
        ('name = "x"\nversion = "1"\nlanguage = "en"\ncriteria = []\n', "at least 1"),
        (
            'name = "x"\nversion = "1"\nlanguage = "en"\ncriteria = [3]\n',
            "a table: names",
        ),
    ],
)
def test_a_file_without_criteria_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RubricError, match=words):
        read(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RubricError, match="no such file"):
        load_rubric(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"')
    with pytest.raises(RubricError, match="UTF-8"):
        load_rubric(tmp_path / "latin.toml")


def test_a_rubric_made_in_code_keeps_the_same_invariants() -> None:
    with pytest.raises(ValidationError, match="second criterion named 'a'"):
        rubric(judge_criterion("a"), rule_criterion("a"))
    with pytest.raises(ValidationError, match="sum to 0"):
        rubric(judge_criterion("a", weight=0.0))


SHIPPED = sorted(share("prompts", "rubrics").glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_rubric_loads(path: Path) -> None:
    found = load_rubric(path)
    assert found.name == path.stem
    assert math.isclose(sum(c.weight for c in found.criteria), 1.0)


def test_rubrics_do_ship() -> None:
    assert {"concise-english", "plain-chinese"} <= {path.stem for path in SHIPPED}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("weight = 0.6", "weight = 0.7"),
        ("threshold = 0.25", "threshold = 0.5"),
        ('"half right"', '"nearly right"'),
        ("The answer is right.", "The answer is sound."),
        ("max_words = 40", "max_words = 41"),
        ("a warm answer", "a hot answer"),
        ('name = "ends"', 'name = "stops"'),
    ],
)
def test_the_content_hash_sees_what_changes_a_score(tmp_path: Path, old: str, new: str) -> None:
    before = read(tmp_path, DESK).content_hash
    assert old in DESK
    assert read(tmp_path, DESK.replace(old, new)).content_hash != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('version = "3"', 'version = "4"'),
        ("For people.", "For all people."),
        ('[[criteria]]\nname = "ends"', '# a comment\n[[criteria]]\nname = "ends"'),
        ('ends_with = "."', 'ends_with = ["."]'),
        ("weight = 1\n", "weight = 1.0\n"),
    ],
)
def test_the_content_hash_passes_over_the_rest(tmp_path: Path, old: str, new: str) -> None:
    before = read(tmp_path, DESK).content_hash
    assert old in DESK
    assert read(tmp_path, DESK.replace(old, new)).content_hash == before


def test_the_rubric_hash_sees_templates_models_and_settings() -> None:
    given = {
        "templates": {"pointwise": "p", "pairwise": "q"},
        "judge": "j",
        "embedder": "e",
        "settings": {"score_temperature": 0.15},
    }
    one = rubric(judge_criterion("a"))
    changes = [
        {"templates": {"pointwise": "p", "pairwise": "r"}},
        {"judge": "k"},
        {"embedder": "f"},
        {"settings": {"score_temperature": 0.2}},
    ]
    hashes = [rubric_hash(one, **(given | change)) for change in ({}, *changes)]  # type: ignore[arg-type]
    hashes.append(rubric_hash(rubric(judge_criterion("b")), **given))  # type: ignore[arg-type]
    assert len(set(hashes)) == 6
    assert rubric_hash(one, **given) == hashes[0]  # type: ignore[arg-type]
