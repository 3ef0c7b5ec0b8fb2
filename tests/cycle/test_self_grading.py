"""A judge that is the policy itself is flagged: it favours what it would have said."""

from pathlib import Path

import pytest

from rlaif.config import JudgeConfig, ServerConfig
from rlaif.crew import Crew
from rlaif.models.identity import model_digest
from rlaif.testing import make_tiny_lm
from tests.cycle.conftest import JUDGED, Maker


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_lm(tmp_path_factory.mktemp("other") / "lm", context=1024, seed=5)


def test_a_judge_with_a_policys_weights_grades_itself(
    make_project: Maker, other_model: Path
) -> None:
    project = make_project(rubric=JUDGED)
    config = project.config
    own, other = model_digest(str(project.root / "lm")), model_digest(str(other_model))
    apart = config.judge.model_copy(update={"path": str(other_model), "name": "apart"})
    crew = Crew(project, config)
    jury = (config.judge, apart)
    assert crew.self_graders(jury, {"v0000": own, "v0001": "trained"}) == [
        "the judge lm is the policy v0000 itself"
    ]
    assert crew.self_graders(jury, {"v0001": other}) == [
        "the judge apart is the policy v0001 itself"
    ]
    assert crew.self_graders(jury, {}) == []


@pytest.mark.parametrize(("model", "flagged"), [("org/lm", True), ("org/judge-8b", False)])
def test_a_judge_on_a_server_is_known_by_its_name(
    make_project: Maker, model: str, flagged: bool
) -> None:
    project = make_project(rubric=JUDGED)
    server = ServerConfig(endpoints=("http://127.0.0.1:9/v1",), model=model)
    judge = JudgeConfig(backend="openai", template="detailed", server=server)
    found = Crew(project, project.config).self_graders((judge,), {})
    assert found == (["the judge lm is the policy lm itself"] if flagged else [])
