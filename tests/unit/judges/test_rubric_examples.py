"""References, worked examples, scales and python criteria in rubric files."""

import unicodedata
from pathlib import Path

import pytest
from broken_rubrics import EVERY_KIND
from judge_samples import DESK, judge_criterion, rubric
from pydantic import ValidationError

from rlaif.errors import RubricError
from rlaif.judges import (
    JudgeCriterion,
    PairExample,
    PythonCriterion,
    RatingExample,
    Reference,
    Rubric,
    load_rubric,
    rubric_hash,
)
from rlaif.project import share
from rlaif.records import digest_of

LINES = EVERY_KIND.splitlines()


def read(tmp_path: Path, text: str) -> Rubric:
    path = tmp_path / "rubric.toml"
    path.write_text(text, encoding="utf-8")
    return load_rubric(path)


def replaced(old: str, new: str) -> str:
    assert EVERY_KIND.count(old) >= 1
    return EVERY_KIND.replace(old, new, 1)


def line_of(text: str) -> int:
    return LINES.index(text) + 1


def test_every_kind_of_table_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, EVERY_KIND)
    useful, kind, _, _, private = found.criteria
    assert found.scale == ("差", "中", "好")
    assert isinstance(useful, JudgeCriterion)
    assert useful.choices == ("差", "中", "好")
    assert useful.examples == (
        RatingExample(prompt="你好", answer="你好啊", critique="有礼。", choice="好"),
        PairExample(
            prompt="سلام",
            first="x",
            second="",
            critique="The second says\nnothing = at all.",
            better="first",
        ),
    )
    assert useful.rating_examples == useful.examples[:1]
    assert useful.pair_examples == useful.examples[1:]
    assert isinstance(kind, JudgeCriterion)
    assert kind.choices == ("rude", "kind")
    assert kind.rating_examples[0].choice == "rude"
    assert isinstance(private, PythonCriterion)
    assert private.function == "no_phone_numbers"
    assert private.options == {"allowed": ["030 111"], "deep": {"more": [1, 2.5, True, "x"]}}
    assert found.python_criteria == (private,)
    assert found.judge_criteria == (useful, kind)
    assert found.references == (
        Reference(
            prompt="一加一得几。",
            answer="二。\n[[criteria]] is a word like any other here\n",
        ),
        Reference(prompt='What is "café" in French?', answer="un café"),
    )


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_reference_is_found_by_the_prompts_normal_form(tmp_path: Path, form: str) -> None:
    found = read(tmp_path, EVERY_KIND)
    asked = unicodedata.normalize(form, 'What is "café" in French?')
    assert found.reference_for(f"\n {asked}\t") == "un café"
    assert found.reference_for("一加一得几。 ") == (
        "二。\n[[criteria]] is a word like any other here\n"
    )


@pytest.mark.parametrize(
    "prompt", ["", 'what is "café" in french?', 'What is "cafe" in French?', "一加一得几."]
)
def test_another_prompt_has_no_reference(tmp_path: Path, prompt: str) -> None:
    assert read(tmp_path, EVERY_KIND).reference_for(prompt) is None


def test_look_alikes_of_a_prompt_are_other_prompts(tmp_path: Path) -> None:
    text = replaced("prompt = 'What is", "prompt = 'ﬁnd: what is")
    asked = 'ﬁnd: what is "café" in French?'
    assert read(tmp_path, text).reference_for(asked) == "un café"
    assert read(tmp_path, text).reference_for(unicodedata.normalize("NFKC", asked)) is None


def test_a_rubric_made_in_code_has_no_references() -> None:
    assert rubric(judge_criterion("a")).reference_for("a") is None


@pytest.mark.parametrize(
    ("old", "new", "words", "line"),
    [
        (
            'choice = "好"',
            'choice = "很好"',
            ["examples.0.choice = '很好' is none of", "'差', '中', '好'"],
            line_of('choice = "好"'),
        ),
        (
            'choice = "好"',
            "choice = 3",
            ["choice = 3", "expected: a text\n"],
            line_of('choice = "好"'),
        ),
        (
            'choice = "好"',
            'chioce = "好"',
            ["unknown key 'chioce'", "write 'choice'"],
            line_of('choice = "好"'),
        ),
        (
            'critique = "有礼。"',
            'critique = ""',
            ["critique = ''", "not blank"],
            line_of('critique = "有礼。"'),
        ),
        (
            'better = "first"',
            'better = "third"',
            ["better = 'third'", "one of: 'first', 'second'"],
            line_of('better = "first"'),
        ),
        (
            'second = ""',
            'answer = ""',
            ["unknown key 'answer'", "better, critique, first, prompt, second"],
            line_of('second = ""'),
        ),
        (
            'scale = ["差", "中", "好"]',
            'scale = ["差"]',
            ["scale = ['差']", "at least 2"],
            line_of('scale = ["差", "中", "好"]'),
        ),
        (
            'answer = "un café"',
            'answer = " "',
            ["references.1.answer = ' '", "not blank"],
            line_of('answer = "un café"'),
        ),
        (
            'answer = "un café"',
            'anwser = "un café"',
            ["unknown key 'references.1.anwser'", "write 'answer'"],
            line_of('answer = "un café"'),
        ),
        (
            "prompt = 'What is \"café\" in French?'",
            'prompt = " 一加一得几。"',
            ["references.1.prompt has a reference answer already", "keep one"],
            line_of("prompt = 'What is \"café\" in French?'"),
        ),
        (
            'function = "no_phone_numbers"',
            'function = "os.remove"',
            ["function = 'os.remove'", "the name of a Python function"],
            line_of('function = "no_phone_numbers"'),
        ),
        (
            'function = "no_phone_numbers"',
            'function = "lambda"',
            ["function = 'lambda'", "the name of a Python function"],
            line_of('function = "no_phone_numbers"'),
        ),
        (
            'function = "no_phone_numbers"',
            'fucntion = "no_phone_numbers"',
            ["unknown key 'fucntion'", "write 'function'"],
            line_of('function = "no_phone_numbers"'),
        ),
        (
            'allowed = ["030 111"]',
            "allowed = [1979-05-27]",
            ["options = ", "dates in quotes"],
            line_of("[criteria.options]"),
        ),
        (
            'allowed = ["030 111"]',
            "allowed = [{ x = nan }]",
            ["options = ", "finite numbers"],
            line_of("[criteria.options]"),
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, words: list[str], line: int
) -> None:
    with pytest.raises(RubricError) as caught:
        read(tmp_path, replaced(old, new))
    for word in words:
        assert word in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        ("3", ["examples = 3", "list"]),
        ("[3]", ["examples.0 = 3", "a table: names with values"]),
        ("[{}]", ["'prompt' is missing"]),
        ('[{ prompt = "a", answer = "b", critique = "c" }]', ["'choice' is missing"]),
    ],
)
def test_broken_lists_of_examples_are_named(
    tmp_path: Path, examples: str, words: list[str]
) -> None:
    old = next(line for line in LINES if line.startswith("examples = "))
    with pytest.raises(RubricError) as caught:
        read(tmp_path, replaced(old, f"examples = {examples}"))
    for word in words:
        assert word in str(caught.value)
    assert caught.value.line == LINES.index(old) + 1


@pytest.mark.parametrize(
    "pattern",
    ["(?:(?:a{1000}){1000}){1000}", "a{60000}", "(?i:a|b){0020000}c{30000}", f"a{{{'9' * 4900}}}"],
)
def test_repetitions_that_multiply_are_refused_before_they_take_all_memory(
    tmp_path: Path, pattern: str
) -> None:
    with pytest.raises(RubricError, match="at most 50,000 pieces") as caught:
        read(tmp_path, replaced('must_match = "[a-z]+|."', f'must_match = "{pattern}"'))
    assert "rule.must_match.0 = " in caught.value.seen


@pytest.mark.parametrize(
    "pattern", [r"(?:[a{9}]x?){9000}", "(?:ab){1,300000}", r"\\(a{40000}", "(?:a{0,900}){900}"]
)
def test_repetitions_that_need_not_all_be_are_taken(tmp_path: Path, pattern: str) -> None:
    rubric = read(tmp_path, replaced('must_match = "[a-z]+|."', f'must_match = "{pattern}"'))
    assert any("patterns" in criterion.content for criterion in rubric.criteria)


@pytest.mark.parametrize("pattern", ["a{2,1}", "(" * 2500 + ")" * 2500])
def test_patterns_that_are_too_much_for_python_are_named(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(RubricError, match="this one has an error") as caught:
        read(tmp_path, replaced('must_match = "[a-z]+|."', f'must_match = "{pattern}"'))
    assert "rule.must_match.0 = " in caught.value.seen
    assert len(str(caught.value)) < 1000


def test_only_judges_have_examples(tmp_path: Path) -> None:
    with pytest.raises(RubricError, match="unknown key 'examples'"):
        read(tmp_path, replaced('near = ["a warm answer"]', 'near = ["a"]\nexamples = []'))


def test_without_a_scale_a_judge_criterion_needs_choices(tmp_path: Path) -> None:
    text = replaced('scale = ["差", "中", "好"]\n', "")
    with pytest.raises(RubricError, match="'choices' is missing") as caught:
        read(tmp_path, text)
    assert caught.value.line == text.splitlines().index("[[criteria]]") + 1


def test_an_example_made_in_code_has_a_known_choice_too() -> None:
    with pytest.raises(ValidationError, match="none of the criterion's choices"):
        JudgeCriterion(
            name="a",
            kind="judge",
            weight=1.0,
            text="a",
            choices=("low", "high"),
            examples=(RatingExample(prompt="p", answer="a", critique="c", choice="middle"),),
        )


SCALED = DESK.replace('choices = ["wrong", "half right", "right"]\n', "").replace(
    'language = "en"\n', 'language = "en"\nscale = ["wrong", "half right", "right"]\n', 1
)


def test_the_hash_of_old_rubrics_is_what_it_was(tmp_path: Path) -> None:
    """The hashes are of the first version of the format, which knew no examples."""
    first = read(tmp_path, DESK)
    before = [
        {key: value for key, value in c.content.items() if key != "patterns"}
        for c in first.criteria
    ]
    assert digest_of(before) == "6674ea8ddae339d82b15c878a218a415fb34bfc7c5fca33481f553c4e6a719e4"
    given = {"templates": {}, "judge": "j", "embedder": "e", "settings": {"t": 0.5}}
    old = "b7405be6e0eafaebbc4b23c84ba7e66d3853069b7561b5907e6cc491e8603d9f"
    assert digest_of([digest_of(before), {}, "j", "e", {"t": 0.5}]) == old
    assert rubric_hash(first, **given) != old  # type: ignore[arg-type]
    assert rubric_hash(first, **given, code={}) == rubric_hash(first, **given)  # type: ignore[arg-type]
    helpdesk = load_rubric(share("prompts", "rubrics", "helpdesk.toml"))
    assert helpdesk.content_hash == (
        "4d84dfe551728bf19bbd7a71bd4ee2b5b0829c52e3112216a95dd2485c43f234"
    )


def test_the_hash_says_what_looks_for_patterns(tmp_path: Path) -> None:
    """It was Python's re, which takes other characters for parts of words."""
    (found,) = (c.content for c in read(tmp_path, DESK).criteria if "patterns" in c.content)
    assert found["patterns"] == "regex"
    assert found["rule"]["must_not_match"] == ["foo", "ba+r"]


def test_a_scale_counts_as_the_choices_that_it_gives(tmp_path: Path) -> None:
    assert "choices" not in SCALED
    assert read(tmp_path, SCALED).content_hash == read(tmp_path, DESK).content_hash


def test_the_hash_is_over_criteria_and_references(tmp_path: Path) -> None:
    found = read(tmp_path, DESK + '[[references]]\nprompt = "p"\nanswer = "a"\n')
    bare = [c.model_dump(mode="json", exclude={"description"}) for c in found.criteria]
    del bare[0]["examples"], bare[0]["graded_by"]
    (patterned,) = (c for c in bare if c["kind"] == "rule" and c["rule"]["must_not_match"])
    patterned["patterns"] = "regex"
    references = [{"prompt": "p", "answer": "a"}]
    assert found.content_hash == digest_of({"criteria": bare, "references": references})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('answer = "un café"', 'answer = "le café"'),
        ("prompt = 'What is", "prompt = 'Who is"),
        ('critique = "有礼。"', 'critique = "客气。"'),
        ('choice = "好"', 'choice = "中"'),
        ('answer = "你好啊"', 'answer = "你好吗"'),
        ('better = "first"', 'better = "second"'),
        ('first = "x"', 'first = "y"'),
        ('scale = ["差", "中", "好"]', 'scale = ["差", "可", "好"]'),
        ('function = "no_phone_numbers"', 'function = "no_numbers"'),
        ('allowed = ["030 111"]', 'allowed = ["030 112"]'),
        ("deep = { more = [1, 2.5", "deep = { more = [1, 3.5"),
    ],
)
def test_the_hash_sees_what_is_new_in_the_format(tmp_path: Path, old: str, new: str) -> None:
    before = read(tmp_path, EVERY_KIND).content_hash
    assert read(tmp_path, replaced(old, new)).content_hash != before


def test_the_hash_sees_the_code_of_functions() -> None:
    one = rubric(judge_criterion("a"))
    given = {"templates": {}, "judge": "", "embedder": "", "settings": {}}
    codes = [{}, {"f": "1"}, {"f": "2"}, {"g": "1"}, {"f": "1", "g": "1"}]
    hashes = {rubric_hash(one, **given, code=code) for code in codes}  # type: ignore[arg-type]
    assert len(hashes) == 5


def test_names_are_read_as_python_reads_them(tmp_path: Path) -> None:
    found = read(tmp_path, replaced('function = "no_phone_numbers"', 'function = "ﬁt_无号码"'))
    assert found.python_criteria[0].function == "fit_无号码"
