"""A small real project: random tiny policy, rules as rubric, the bundled embedder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rlaif.config import RlaifConfig
from rlaif.config_file import render_config
from rlaif.project import Project, load_project
from rlaif.testing import make_tiny_lm

RULES = """
name = "brief"
version = "1"
language = "en"

[[criteria]]
name = "brief"
kind = "rule"
weight = 0.7
rule = { max_words = 4 }

[[criteria]]
name = "open"
kind = "rule"
weight = 0.3
rule = { must_not_match = "[aeiou]" }
"""

JUDGED = """
name = "judged"
version = "1"
language = "en"

[[criteria]]
name = "kind"
kind = "judge"
weight = 1.0
text = "The answer is kind."
choices = ["rude", "plain", "kind"]
"""

SMALL = {
    "policy": {"path": "lm"},
    "judge": {"path": "lm", "max_critique_tokens": 4, "template": "detailed"},
    "rubric": {"path": "rubric.toml"},
    "sampling": {"prompts_per_cycle": 12, "eval_prompts": 6, "duplicate_similarity": 1.0},
    "generation": {"max_tokens": 8, "completions_per_prompt": 3, "batch_size": 18},
    "judging": {"pairs_per_prompt": 2},
    "reward_model": {"batch_size": 8, "checkpoint_steps": 2, "calibration_prompts": 6},
    "ppo": {"updates": 4, "rollout_batch": 12, "minibatch": 6, "checkpoint_updates": 2},
    "preferences": {"heldout_share": 0.4},
    "gate": {
        "min_win_rate": 0.05,
        "min_score_gain": -1.0,
        "min_diversity": 0.0,
        "min_reward_accuracy": 0.0,
    },
}

Maker = Callable[..., Project]


@pytest.fixture(scope="session")
def tiny_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_lm(tmp_path_factory.mktemp("tiny") / "lm", context=1024)


@pytest.fixture
def make_project(tmp_path: Path, tiny_policy: Path) -> Maker:
    """Return a maker of projects: ``make(name, rubric=..., section={...})``."""

    def make(name: str = "project", rubric: str = RULES, **changes: dict[str, object]) -> Project:
        root = tmp_path / name
        (root / "prompts" / "pools").mkdir(parents=True)
        (root / "lm").symlink_to(tiny_policy)
        (root / "rubric.toml").write_text(rubric, encoding="utf-8")
        lines = [
            {"prompt": f"Question {i} about thing {i * 7}?", "split": "eval" if i < 6 else "train"}
            for i in range(36)
        ]
        pool = "".join(json.dumps(line) + "\n" for line in lines)
        (root / "prompts" / "pools" / "pool.jsonl").write_text(pool, encoding="utf-8")
        settings = {
            key: {**SMALL.get(key, {}), **changes.get(key, {})} for key in {*SMALL, *changes}
        }
        config = RlaifConfig.model_validate(settings)
        (root / "rlaif.toml").write_text(render_config(config), encoding="utf-8")
        return load_project(root)

    return make
