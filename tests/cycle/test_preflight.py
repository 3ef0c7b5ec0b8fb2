"""What is wrong is found before a row is written, and what is mended is taken up."""

import json
from pathlib import Path

import pytest
import torch

from rlaif.crew import Crew
from rlaif.cycle import run_cycles
from rlaif.errors import ArtifactError, ConfigError, ModelError, StageError
from rlaif.ledger.reader import LedgerReader
from rlaif.ledger.writer import Ledger
from rlaif.models.shared_base import SharedBase
from rlaif.progress import Silent
from rlaif.project import Project, load_project
from rlaif.testing import make_tiny_lm
from tests.cycle.conftest import SMALL, Maker
from tests.cycle.watchers import StopAfter, Stopped
from tests.other_models import make_other_lm, reconfigured


def change(project: Project, old: str, new: str) -> Project:
    text = project.config_path.read_text(encoding="utf-8")
    assert old in text
    project.config_path.write_text(text.replace(old, new), encoding="utf-8")
    return load_project(project.root)


def run(project: Project) -> list[int]:
    return run_cycles(project, more=1, watcher=Silent())


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('path = "lm"', 'path = "./typo"', "no folder ./typo"),
        ("max_tokens = 8\n", "max_tokens = 1020\n", "context"),
        ('path = "bundled:tiny-embedder"', 'path = "./typo"', "typo"),
        ("critic_blocks = 1\n", "critic_blocks = 2\n", "lm has 2 blocks"),
    ],
)
def test_a_mistake_costs_nothing_and_can_be_mended(
    make_project: Maker, old: str, new: str, part: str
) -> None:
    project = make_project()
    broken = change(project, old, new)
    with pytest.raises(ModelError, match=part):
        run(broken)
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.cycles() == []
        assert reads.policies() == []
    assert run(change(broken, new, old)) == [1]


def test_a_policy_without_a_tokenizer_stops_at_the_start(
    make_project: Maker, tiny_policy: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors", "generation_config.json"):
        (bare / name).write_bytes((tiny_policy / name).read_bytes())
    project = make_project(policy={"path": str(bare)})
    with pytest.raises(ModelError, match="tokenizer"):
        run(project)


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox"])
def test_a_policy_that_no_branch_can_go_on_from_stops_at_the_start(
    make_project: Maker, tmp_path: Path, family: str
) -> None:
    project = make_project(policy={"path": str(make_other_lm(tmp_path / family, family))})
    with pytest.raises(ModelError, match='critic = "branch"') as caught:
        run(project)
    assert all(f'"{critic}"' in caught.value.action for critic in ("shared", "separate"))
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.cycles() == []
    assert run(change(project, 'critic = "branch"\n', 'critic = "shared"\n')) == [1]


def test_an_adapter_that_ppo_cannot_train_on_stops_at_the_start(
    make_project: Maker, tiny_policy: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    shared = SharedBase.open(str(tiny_policy), torch.device("cpu"), "float32")
    shared.fresh("policy", 4, 8.0, seed=1).save(folder)
    project = make_project(policy={"path": str(folder)}, ppo={"lora_rank": 4})
    reconfigured(folder, {"bias": "all"})
    with pytest.raises(ModelError, match="bias = 'all'"):
        run(project)
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.cycles() == []
    reconfigured(folder, {"bias": "none", "lora_dropout": 0.1})
    assert run(project) == [1]


def test_what_ppo_cannot_do_hinders_no_other_optimizer(make_project: Maker, tmp_path: Path) -> None:
    other = str(make_other_lm(tmp_path / "gpt2", "gpt2"))
    project = make_project(policy={"path": other, "optimizer": "best_of_n"})
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAfter(0))


def test_a_prompt_of_more_tokens_than_a_longer_text_is_found_too(make_project: Maker) -> None:
    project = make_project()
    lines = [{"prompt": "e" * 700}, {"prompt": "\u597d" * 600}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (project.root / "prompts" / "pools" / "long.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="\u597d\u597d\u2026"):
        run(project)
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.cycles() == []


GOOD = '{"prompt": "Who?", "completion": "I."}'
BAD_TURNS = '{"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}], '


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ('{"prompt": "Who?"}', "'completion' is missing"),
        ('{"prompt": "Who?", "completion": "' + "好" * 400 + '"}', "at most 1024 tokens"),
        (BAD_TURNS + '"completion": "c"}', "chat template"),
    ],
    ids=["broken", "too long", "turns that the policy does not take"],
)
def test_supervised_text_that_cannot_be_used_costs_nothing(
    make_project: Maker, tmp_path: Path, line: str, part: str
) -> None:
    policy = make_tiny_lm(tmp_path / "strict", context=1024)
    template = policy / "chat_template.jinja"
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    template.write_text(refusing + template.read_text(encoding="utf-8"), encoding="utf-8")
    text = {"ptx_path": "text.jsonl", "ptx_coefficient": 0.1}
    project = make_project(policy={"path": str(policy)}, ppo={**SMALL["ppo"], **text})
    path = project.root / "text.jsonl"
    path.write_text(f"{GOOD}\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=part) as caught:
        run(project)
    assert (caught.value.path, caught.value.line) == (path, 2)
    with LedgerReader.open(project.ledger_path) as reads:
        assert reads.cycles() == []
    path.write_text(GOOD, encoding="utf-8")
    assert run(project) == [1]


def test_later_stages_take_changed_settings(make_project: Maker) -> None:
    project = make_project()
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAfter(1))
    changed = change(project, "updates = 4\n", "updates = 3\n")
    assert run(changed) == [1]
    with LedgerReader.open(project.ledger_path) as reads:
        report = reads.report(1, "ppo")
        assert report is not None
        assert report["updates"] == 3
        assert reads.cycle_config(1)["ppo"]["updates"] == 3


def test_changed_settings_that_contradict_what_has_begun_are_refused(make_project: Maker) -> None:
    project = make_project()
    with pytest.raises(Stopped):
        run_cycles(project, more=1, watcher=StopAfter(0))
    changed = change(project, "completions_per_prompt = 3\n", "completions_per_prompt = 5\n")
    changed = change(changed, "pairs_per_prompt = 2\n", "pairs_per_prompt = 10\n")
    with pytest.raises(ConfigError, match="3 completions make only 3 pairs") as caught:
        run(changed)
    assert "cycle 1" in str(caught.value)
    changed = change(changed, "pairs_per_prompt = 10\n", "pairs_per_prompt = 3\n")
    assert run(changed) == [1]


def test_an_incumbent_that_was_tampered_with_is_refused(make_project: Maker) -> None:
    project = make_project()
    run(project)
    weights = project.policies / "v0001" / "config.json"
    weights.write_text(weights.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(ArtifactError, match="v0001"):
        run(project)


def test_a_strangers_policy_is_not_written_over(make_project: Maker) -> None:
    project = make_project()
    stranger = project.policies / "v0001"
    stranger.mkdir(parents=True)
    (stranger / "precious.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StageError, match="move that folder away"):
        run(project)
    assert (stranger / "precious.txt").read_text(encoding="utf-8") == "mine"
    stranger.rename(project.policies / "mine")
    assert run(project) == [1]


def test_prompts_that_are_held_out_by_now_no_longer_train(make_project: Maker) -> None:
    from rlaif.cycle import training

    project = make_project()
    run(project)
    with Ledger.open(project.ledger_path) as ledger:
        earlier = ledger.preferences(1)
        assert earlier
        chosen = earlier[0].prompt_id
        [prompt] = ledger.prompts([chosen])
        ledger.begin_cycle(
            2,
            run_seed=1,
            config=project.config.model_dump(mode="json"),
            config_hash="h",
            rubric_hash=earlier[0].rubric_hash,
            incumbent="v0001",
        )
        ledger.begin_stage(2, "sampling")
        with ledger.unit(2, "sampling", "prompts") as rows:
            rows.add_prompts([prompt.model_copy(update={"split": "eval"})])

        class Context:
            number = 2
            config = project.config
            crew = Crew(project, project.config)

        context = Context()
        context.ledger = ledger
        left = training._still_training(context, earlier)
    assert chosen not in {p.prompt_id for p in left}
    assert len(left) < len(earlier)
