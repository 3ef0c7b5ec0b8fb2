"""Commands that do not compute load neither torch nor anything else that is heavy."""

import json
import subprocess
import sys

from rlaif.project import Project

HEAVY = {
    *("torch", "transformers", "trl", "datasets", "accelerate", "sentence_transformers", "peft"),
    *("numpy", "pandas", "pyarrow", "sqlite_utils", "jinja2", "apscheduler"),
}
LIGHT_COMMANDS = [
    ["--help"],
    ["--version"],
    ["status", "--json"],
    ["report"],
    ["critiques"],
    ["critiques", "--quarantined", "--search", "it is", "--csv"],
    ["critiques", "show", "critique-a"],
    ["critiques", "themes", "--help"],
    ["policy", "list"],
    ["policy", "show", "base"],
    ["feedback", "list"],
    ["ledger", "digest"],
    ["export", "--help"],
    ["export", "preferences"],
    ["run", "--help"],
    ["demo", "--help"],
    ["rubric", "--help"],
    ["rubric", "new", "--help"],
    ["init", "bare"],
]
SCRIPT = """
import json, sys
from click.testing import CliRunner
from rlaif.cli import main
loaded = {"at import": [m for m in ("pydantic", "rich") if m in sys.modules]}
for args in json.loads(sys.argv[2]):
    place = [] if args[0].startswith("-") else ["--project", sys.argv[1]]
    target = [f"{sys.argv[1]}/bare"] if args[-1] == "bare" else args[-1:]
    result = CliRunner().invoke(main, [*place, *args[:-1], *target])
    assert result.exit_code == 0, (args, result.output, result.exception)
    loaded[" ".join(args)] = sorted(set(json.loads(sys.argv[3])) & set(sys.modules))
print(json.dumps(loaded))
"""


def test_nothing_heavy_is_loaded(project: Project) -> None:
    arguments = [str(project.root), json.dumps(LIGHT_COMMANDS), json.dumps(sorted(HEAVY))]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert len(loaded) == len(LIGHT_COMMANDS) + 1
    assert {name: found for name, found in loaded.items() if found} == {}
