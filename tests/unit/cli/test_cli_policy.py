"""Policies from the command line: list, show, promote, roll back, sample."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cli.conftest import Rlaif
from rlaif.artifacts import file_sha256, model_folder_digest
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.models.decoding import DecodeSettings, decode
from rlaif.models.encoding import encode_conversation
from rlaif.models.loading import load_language_model
from rlaif.models.shared_base import SharedBase
from rlaif.project import Project
from rlaif.records import Message
from rlaif.testing import make_tiny_lm


def live(project: Project) -> str:
    with LedgerReader.open(project.ledger_path) as reader:
        current = reader.current_policy()
    assert current is not None
    assert (project.policies / "current").resolve().name == current.version
    return current.version


def test_list_marks_the_live_policy(here: Rlaif) -> None:
    rows = [line.split() for line in here("policy", "list").stdout.splitlines()]
    marked = {row[0] for row in rows if "*" in row}
    assert marked == {"v0001"}


def test_list_as_json(here: Rlaif) -> None:
    found = json.loads(here("policy", "list", "--json").stdout)
    assert found["current"] == "v0001"
    assert [(p["version"], p["parent"]) for p in found["policies"]] == [
        ("v0000", None),
        ("v0001", "v0000"),
    ]


@pytest.mark.parametrize(("name", "version"), [("current", "v0001"), ("base", "v0000")])
def test_show_knows_names_beside_versions(here: Rlaif, name: str, version: str) -> None:
    found = json.loads(here("policy", "show", name, "--json").stdout)
    assert found["version"] == version
    assert found["promotions"][0]["version"] == version
    assert found == json.loads(here("policy", "show", version, "--json").stdout)


def test_show_prints_the_lineage_card(here: Rlaif) -> None:
    shown = here("policy", "show", "v0001").stdout
    assert "win rate              0.75" in shown
    assert "the gate promoted it" in shown


def test_rollback_goes_to_the_policy_before(here: Rlaif, project: Project) -> None:
    assert live(project) == "v0001"
    result = here("policy", "rollback", "--reason", "too terse")
    assert result.exit_code == 0
    assert result.stdout == "v0000 is live now (before: v0001)\n"
    assert live(project) == "v0000"
    last = json.loads(here("policy", "show", "v0000", "--json").stdout)["promotions"][-1]
    assert (last["kind"], last["reason"]) == ("rollback", "too terse")


def test_a_second_rollback_has_nowhere_to_go(here: Rlaif, project: Project) -> None:
    here("policy", "rollback")
    result = here("policy", "rollback")
    assert result.exit_code == 2
    assert "no earlier policy" in result.stderr
    assert live(project) == "v0000"


def test_promote_by_hand(here: Rlaif, project: Project) -> None:
    here("policy", "rollback")
    result = here("policy", "promote", "v0001", "--reason", "reads better", "--json")
    assert json.loads(result.stdout) == {
        "current": "v0001",
        "before": "v0000",
        "kind": "promote",
        "reason": "reads better",
    }
    assert live(project) == "v0001"


@pytest.mark.parametrize("command", [("promote", "v0000"), ("rollback",)])
def test_nothing_changes_where_a_folder_stands_in_the_links_place(
    here: Rlaif, project: Project, command: tuple[str, ...]
) -> None:
    link = project.policies / "current"
    link.unlink(missing_ok=True)
    link.mkdir()
    result = here("policy", *command)
    assert result.exit_code == 1
    assert "is not a symbolic link" in result.stderr
    listed = json.loads(here("policy", "list", "--json").stdout)
    assert listed["current"] == "v0001"


@pytest.mark.parametrize("command", [("show",), ("promote",), ("sample",)])
def test_an_unknown_policy_is_refused(here: Rlaif, command: tuple[str, ...]) -> None:
    result = here("policy", *command, "v9")
    assert result.exit_code == 2
    assert "there is no policy 'v9'" in result.stderr
    assert "base, current, v0000, v0001" in result.stderr


@pytest.mark.parametrize("command", [("sample", "v0000", "Hello?"), ("promote", "v0000")])
def test_a_policy_whose_bytes_changed_neither_answers_nor_goes_live(
    here: Rlaif, project: Project, command: tuple[str, ...]
) -> None:
    (project.policies / "v0000" / "model.safetensors").write_text("other", encoding="utf-8")
    result = here("policy", *command)
    assert result.exit_code == 1
    assert "which the ledger vouches for" in result.stderr
    assert live(project) == "v0001"


def test_a_policy_whose_folder_is_gone_does_not_go_live(here: Rlaif, project: Project) -> None:
    here("policy", "rollback")
    shutil.rmtree(project.policies / "v0001")
    result = here("policy", "promote", "v0001")
    assert result.exit_code == 1
    assert "there is no such folder" in result.stderr
    assert live(project) == "v0000"


def test_a_base_from_a_hub_has_no_folder_to_check(here: Rlaif, project: Project) -> None:
    with sqlite3.connect(project.ledger_path) as connection:
        connection.execute("UPDATE policies SET path = 'org/model' WHERE version = 'v0000'")
    connection.close()
    assert here("policy", "rollback").exit_code == 0
    exported = here("export", "policy", "base", project.root / "out")
    assert exported.exit_code == 1
    assert "fetched by its own tools" in exported.stderr


@pytest.fixture
def with_model(project: Project) -> Project:
    """A further policy, with weights that can be sampled."""
    folder = make_tiny_lm(project.policies / "v0002")
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "x") as unit:
        unit.add_policy("v0002", model_folder_digest(folder), "policies/v0002", "v0001", {})
    return project


def test_sample_answers_a_prompt_the_same_way_for_a_seed(here: Rlaif, with_model: Project) -> None:
    limit = with_model.config.generation.max_tokens
    asked = ("policy", "sample", "v0002", "Hello?", "-n", 2, "--seed", 3, "--json")
    found = json.loads(here(*asked).stdout)
    assert [s["prompt"] for s in found["samples"]] == ["Hello?", "Hello?"]
    assert all(0 < s["tokens"] <= limit for s in found["samples"])
    assert found["samples"][0] != found["samples"][1]
    assert json.loads(here(*asked).stdout) == found
    asked_otherwise = (*asked[:6], "--seed", 4, "--json")
    assert json.loads(here(*asked_otherwise).stdout) != found


@pytest.mark.usefixtures("with_model")
def test_sample_takes_held_out_prompts_where_none_is_given(here: Rlaif) -> None:
    shown = here("policy", "sample", "v0002", "-n", 9, "--temperature", 0)
    assert shown.exit_code == 0
    prompts = [line.strip() for line in shown.stdout.splitlines() if line.startswith("  prompt")]
    assert prompts == [
        "prompt    Hi there! Tell me the opposite of push.",
        "prompt    Hurry up. Do you know the capital of Chile?",
    ]


def test_the_base_can_be_sampled_before_the_first_cycle(rlaif: Rlaif, tmp_path: Path) -> None:
    model = make_tiny_lm(tmp_path / "model")
    rlaif("init", tmp_path / "new", "--policy", model)
    new = ("--project", tmp_path / "new", "policy", "sample")
    result = rlaif(*new, "base", "Hello?", "-n", 1, "--json")
    assert [s["prompt"] for s in json.loads(result.stdout)["samples"]] == ["Hello?"]
    refused = rlaif(*new, "base")
    assert refused.exit_code == 2
    assert "no cycle was run yet" in refused.stderr


@pytest.fixture
def with_adapter(project: Project) -> Project:
    """A further policy that is an adapter on the project's own base."""
    base = make_tiny_lm(project.root / "models" / "base", dtype="bfloat16")
    shared = SharedBase.open(str(base), torch.device("cpu"), "float32")
    adapted = shared.fresh("policy", 4, 32.0, seed=1)
    with torch.no_grad():
        for parameter in adapted.own:
            parameter.fill_(0.05)
    folder = project.policies / "v0002"
    folder.mkdir()
    adapted.save(folder)
    with Ledger.open(project.ledger_path) as ledger, ledger.unit(3, "judging", "x") as unit:
        unit.add_policy("v0002", model_folder_digest(folder), "policies/v0002", "v0001", {})
    return project


def answers_of(folder: Path) -> list[str]:
    lm = load_language_model(str(folder), torch.device("cpu"))
    prompts = [encode_conversation(lm, [Message(role="user", content=w)]) for w in ("tea", "cat")]
    return [answer.text for answer in decode(lm, prompts, DecodeSettings(max_tokens=8))]


def test_an_adapter_is_exported_as_one_or_merged(
    here: Rlaif, with_adapter: Project, tmp_path: Path
) -> None:
    own = answers_of(with_adapter.policies / "v0002")
    assert here("export", "policy", "v0002", tmp_path / "adapter").exit_code == 0
    assert here("export", "policy", "v0002", tmp_path / "whole", "--merged").exit_code == 0
    shutil.rmtree(with_adapter.policies / "v0002")
    assert answers_of(tmp_path / "adapter") == own
    names = {p.name for p in (tmp_path / "whole").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not {"adapter_config.json", "adapter_model.safetensors", "base.json"} & names
    stored = load_file(tmp_path / "whole" / "model.safetensors")
    assert {str(x.dtype) for x in stored.values()} == {"torch.bfloat16"}
    shutil.rmtree(with_adapter.root / "models")
    assert all(answers_of(tmp_path / "whole"))


def test_merging_a_policy_that_is_whole_copies_it(
    here: Rlaif, with_model: Project, tmp_path: Path
) -> None:
    assert here("export", "policy", "v0002", tmp_path / "whole", "--merged").exit_code == 0
    assert file_sha256(tmp_path / "whole" / "model.safetensors") == file_sha256(
        with_model.policies / "v0002" / "model.safetensors"
    )
