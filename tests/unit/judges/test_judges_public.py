import subprocess
import sys

import pytest

import rlaif.judges as judges

PUBLIC = [
    "PAIR_LABELS",
    "CriterionContext",
    "CriterionFunction",
    "EmbeddingCriterion",
    "Judge",
    "JudgeContext",
    "JudgeCriterion",
    "JudgeFactory",
    "JudgeReply",
    "JudgeRequest",
    "Juror",
    "LoadedFunction",
    "PairExample",
    "PythonCriterion",
    "RatingExample",
    "Reference",
    "Rubric",
    "RubricJudge",
    "RuleCriterion",
    "RuleSpec",
    "Score",
    "SentenceEncoder",
    "Similarity",
    "Templates",
    "TransformersJudge",
    "VerdictSettings",
    "WriteReply",
    "WriteRequest",
    "Writer",
    "as_data",
    "judge_by_rule",
    "load_code",
    "load_rubric",
    "load_templates",
    "make_judge",
    "p_from_scores",
    "pair_verdict",
    "parse_verdict",
    "rating_labels",
    "request_hash",
    "rubric_hash",
    "score_completion",
    "verdict_from_labels",
    "verdict_of",
]


def test_the_public_surface_is_this_list() -> None:
    assert sorted(judges.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(judges, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Jugde"):
        judges.Jugde  # noqa: B018 - the access is the test


def test_reading_rubrics_imports_no_torch() -> None:
    code = "import sys, rlaif.judges, rlaif.testing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
