"""What may change while a cycle is under way: where judges are, and not what they say."""

from pathlib import Path
from typing import Any

from rlaif.config import RlaifConfig
from rlaif.cycle import settings_of
from rlaif.cycle.rubrics import rubric_file
from rlaif.ledger.writer import Ledger
from rlaif.progress import Silent
from rlaif.project import Project


def served(port: int, **server: Any) -> RlaifConfig:
    own = {"endpoints": [f"http://127.0.0.1:{port}/v1"], "model": "judge-8b", **server}
    judge = {"backend": "openai", "template": "detailed", "server": own}
    return RlaifConfig.model_validate({"judge": judge})


def judged(path: Path, config: RlaifConfig, rubric: str = "text") -> Ledger:
    """Return a ledger whose first cycle has begun to judge."""
    ledger = Ledger.open(path)
    ledger.add_rubric("h", "r", "1", rubric)
    ledger.register_base("v0000", "d", "p", {})
    ledger.begin_cycle(
        1,
        run_seed=1,
        config=config.model_dump(mode="json"),
        config_hash="c",
        rubric_hash="h",
        incumbent="v0000",
    )
    ledger.begin_stage(1, "judging")
    with ledger.unit(1, "judging", "ratings-train-0000"):
        pass
    return ledger


def test_a_moved_server_is_found_and_what_it_is_asked_stays(tmp_path: Path) -> None:
    begun = served(8000)
    with judged(tmp_path / "ledger.db", begun) as ledger:
        known = ledger.cycle(1)
        assert known is not None
        new = served(9000, temperature=0.9, key_variable="NEW_KEY", attempts=2)
        server = settings_of(ledger, known, new).judge.server
    assert server is not None
    assert server.endpoints == ("http://127.0.0.1:9000/v1",)
    assert (server.key_variable, server.attempts, server.temperature) == ("NEW_KEY", 2, 0.0)


def test_another_model_waits_for_the_next_cycle(tmp_path: Path) -> None:
    with judged(tmp_path / "ledger.db", served(8000)) as ledger:
        known = ledger.cycle(1)
        assert known is not None
        server = settings_of(ledger, known, served(9000, model="judge-70b")).judge.server
    assert server is not None
    assert (server.model, server.endpoints) == ("judge-8b", ("http://127.0.0.1:8000/v1",))


def test_which_answers_are_attacked_stays_as_it_was_once_judging_has_begun(tmp_path: Path) -> None:
    with judged(tmp_path / "ledger.db", RlaifConfig()) as ledger:
        known = ledger.cycle(1)
        assert known is not None
        changes = {"audit": {"probe_share": 0.5, "max_injection": 0.9}}
        found = settings_of(ledger, known, RlaifConfig.model_validate(changes)).audit
    assert found.probe_share == RlaifConfig().audit.probe_share
    assert found.max_injection == 0.9


def test_a_rubric_that_is_no_text_any_more_waits_too(tmp_path: Path) -> None:
    project = Project(tmp_path, RlaifConfig.model_validate({"rubric": {"path": "r.toml"}}))
    (tmp_path / "r.toml").write_bytes("name = '\u4f60\u597d'".encode("gbk"))
    with judged(project.ledger_path, project.config, "name = 'kept'") as ledger:
        found = rubric_file(project, ledger, project.config, ledger.cycle(1), Silent())
        assert found.read_text(encoding="utf-8") == "name = 'kept'"
        assert found.parent == tmp_path / "state" / "rubrics"
