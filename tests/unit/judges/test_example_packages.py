"""The example packages of the documentation are installed and judge, as a user's own would."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs" / "examples"
PACKAGES = sorted(path.parent for path in EXAMPLES.glob("*/pyproject.toml"))

RUBRIC = """\
name = "desk"
version = "1"
language = "en"

[[criteria]]
name = "private"
kind = "python"
weight = 0.4
function = "no_phone_numbers"
options = { allowed = ["030 111 2222"] }

[[criteria]]
name = "brief"
kind = "judge"
weight = 0.6
text = "The answer is short."
choices = ["long", "short"]
"""

SCRIPT = """\
import json, sys
from pathlib import Path

from rlaif.config import JudgingConfig
from rlaif.judges import (
    JudgeContext, Juror, RubricJudge, load_code, load_rubric, load_templates, make_judge,
)
from rlaif.records import Completion, Message, Prompt

path = Path(sys.argv[1])
rubric = load_rubric(path)
judge = make_judge("brief", {"longest": 100}, JudgeContext(root=path.parent))
panel = RubricJudge(
    rubric,
    judging=JudgingConfig(pairwise_weight=1.0),
    jury=(Juror(judge.name, judge, load_templates("detailed"), 0.5),),
    code=load_code(rubric, path, None),
)
prompt = Prompt(
    id="p", messages=(Message(role="user", content="Who answers at 030 7654321?"),), split="train"
)
def answer(name, text):
    return Completion(
        id=name, prompt_id="p", policy="x", index=0, text=text, length=1, ended=True
    )
short = answer("short", "030 7654321 is Ann.")
long = answer("long", "Call 030 111 2222, or Bob at +49 (30) 123-4567. 再见。👋")
rated = panel.rate([(prompt, short), (prompt, long)])
scores = panel.scores([(prompt, short), (prompt, long)], rated)
pairs = [(prompt, short, long)]
by_id = {s.completion_id: s for s in scores}
(verdict,) = panel.pair_verdicts(pairs, by_id, panel.compare(pairs))
print(json.dumps({
    "lengths": [len(short.text), len(long.text)],
    "scores": [s.score for s in scores],
    "parts": [s.parts for s in scores],
    "critiques": [[j.critique for j in js] for js in rated],
    "methods": [j.method for j in rated[0]],
    "judges": [j.judge for j in rated[0]],
    "p_first": verdict.p_first,
    "orders": [verdict.p_forward, verdict.p_backward],
    "same_digest": rated[0][1].call.judge == judge.digest,
}))
"""


def run_python(*args: str, cwd: Path, path: Path | None = None) -> str:
    """Run Python as a user would, where one is given with ``path`` on its search path."""
    environment = None if path is None else {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both packages, built from copies and installed offline into a folder of their own."""
    folder = tmp_path_factory.mktemp("examples")
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--quiet")
    sources = []
    for package in PACKAGES:
        source = folder / "source" / package.name
        source.mkdir(parents=True)
        for file in package.iterdir():
            if file.is_file():
                (source / file.name).write_bytes(file.read_bytes())
        sources.append(str(source))
    target = folder / "site"
    run_python("-m", "pip", "install", *options, "--target", str(target), *sources, cwd=folder)
    return target


def test_there_is_an_example_of_each_kind() -> None:
    texts = [(package / "pyproject.toml").read_text(encoding="utf-8") for package in PACKAGES]
    assert len(texts) == 2
    assert sum('"rlaif.criteria"' in text for text in texts) == 1
    assert sum('"rlaif.judges"' in text for text in texts) == 1


def test_installed_packages_judge_two_answers(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "desk.toml").write_text(RUBRIC, encoding="utf-8")
    (tmp_path / "judge.py").write_text(SCRIPT, encoding="utf-8")
    said: dict[str, Any] = json.loads(
        run_python("-X", "utf8", "judge.py", "desk.toml", cwd=tmp_path, path=installed)
    )
    short, long = said["lengths"]
    assert (short, long) == (19, 52)
    assert said["parts"] == [
        {"private": 1.0, "brief": pytest.approx(0.81)},
        {"private": 0.0, "brief": pytest.approx(0.48)},
    ]
    assert said["scores"] == [pytest.approx(0.4 + 0.6 * 0.81), pytest.approx(0.6 * 0.48)]
    assert said["critiques"] == [
        ["gives away no phone number", "Of 19 characters."],
        ["gives away the phone number +49 (30) 123-4567", "Of 52 characters."],
    ]
    assert said["methods"] == ["code", "label_probs"]
    assert said["judges"] == ["", "brief"]
    assert said["orders"] == [pytest.approx(0.5 + 0.5 * 0.33)] * 2
    assert said["p_first"] == pytest.approx(0.665)
    assert said["same_digest"] is True


def test_errors_name_what_is_installed(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "desk.toml").write_text(RUBRIC.replace("phone", "fone"), encoding="utf-8")
    script = (
        "from pathlib import Path\n"
        "from rlaif.errors import RlaifError\n"
        "from rlaif.judges import JudgeContext, load_code, load_rubric, make_judge\n"
        "def tell(do):\n"
        "    try: do()\n"
        "    except RlaifError as exc: print(exc)\n"
        "place = JudgeContext(root=Path('.'))\n"
        "path = Path('desk.toml')\n"
        "tell(lambda: load_code(load_rubric(path), path, None))\n"
        "tell(lambda: make_judge('breif', {}, place))\n"
        "tell(lambda: make_judge('brief', {'longest': 'much'}, place))\n"
    )
    said = run_python("-c", script, cwd=tmp_path, path=installed)
    assert "desk.toml:9: function = 'no_fone_numbers' is not offered" in said
    assert "(installed: no_phone_numbers)" in said
    assert "[judge] backend = 'breif'" in said
    assert "one of: transformers, openai, or of an installed package (brief)" in said
    assert "longest = 'much'" in said
