"""Run the tests that watch over a file against a copy of the package with a fault planted in it.

Imports what is slow once, then forks a child for each fault. Run as ``python runner.py PATCH...``; it
prints a line of JSON for each: the patch, whether it was applied, which test turned red, and why.

The test that a fault died of last time (``killers.json``) is tried first, then those that watch over its
file, then all that the rest of the engine has; a fault without one, a reviewer's say, begins with the
second. "none" plants nothing and runs every such test.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import accelerate  # noqa: F401  # what is slow is imported once, for all children
import beartype  # noqa: F401
import hypothesis
import jaxtyping  # noqa: F401
import numpy  # noqa: F401
import openai  # noqa: F401
import peft  # noqa: F401
import pydantic  # noqa: F401
import pytest
import scipy.optimize
import scipy.stats  # noqa: F401
import sympy  # noqa: F401
import tokenizers  # noqa: F401
import torch
import transformers.modeling_utils  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
KILLERS = Path(__file__).resolve().parent / "killers.json"
NONE = "none"
FAILED = "failed-first"
RED = 1
BROKEN = 99  # a tester that could not test: no test has turned red
SECONDS = 1800.0  # all tests of the engine take one slow core ten minutes and more
LAST_WORDS = 600  # so a line is written in one piece: two judges share a pipe
AT_ONCE = 2
IMPORTED_ALREADY = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
UNUSED = ("-p", "no:anyio", "-p", "no:xdist", "-p", "no:unraisableexception")  # half of a start
RL_TESTS = ("tests/golden", "tests/unit/rl")
REST = ("tests/unit/models", "tests/unit/stages", *RL_TESTS)
WATCHERS = {
    "rlaif/rl/": RL_TESTS,
    "rlaif/models/lean/": tuple(
        f"tests/unit/models/test_{name}.py" for name in ("lean", "adapters", "branch", "decoding")
    ),
    "rlaif/models/shared_base.py": ("tests/unit/models/test_adapters.py",),
    "rlaif/models/reward": (
        "tests/unit/models/test_reward.py",
        "tests/unit/models/test_reward_ensemble.py",
    ),
    "rlaif/models/processes.py": ("tests/unit/stages/test_ppo_processes.py",),
    "rlaif/models/checkpointing.py": ("tests/unit/stages/test_ppo_checkpointing.py",),
    "rlaif/models/": tuple(
        f"tests/unit/models/test_{name}.py"
        for name in ("actor_critic", "branch", "decoding", "drawing")
    ),
    "rlaif/config/ppo.py": (
        "tests/unit/test_config.py",
        "tests/unit/stages/test_ppo_kl_wiring.py",
    ),
    "rlaif/stages/optimisers/": (
        "tests/unit/stages/test_optimiser_settings.py",
        "tests/unit/stages/test_optimisers.py",
        "tests/unit/stages/test_optimisers_resumed.py",
    ),
    "rlaif/models/encoding.py": ("tests/unit/models/test_encoding.py",),
    "rlaif/stages/reward_model/": (
        "tests/unit/stages/test_reward_losses.py",
        "tests/unit/stages/test_reward_figures.py",
        "tests/unit/stages/test_reward_job.py",
        "tests/unit/stages/test_reward_model.py",
        "tests/unit/stages/test_ensemble_training.py",
    ),
    "rlaif/stages/evaluation.py": ("tests/unit/stages/test_evaluation.py",),
    "rlaif/stages/promotion.py": ("tests/unit/stages/test_promotion.py",),
    "rlaif/cycle/training.py": (
        "tests/cycle/test_training_jobs.py",
        "tests/cycle/test_training_pairs.py",
    ),
    **{
        f"rlaif/judges/{file}.py": tuple(f"tests/unit/judges/test_{name}.py" for name in names)
        for file, *names in (
            ("protocol", "protocol", "second_asking", "ranking_judge"),
            ("verdict_forms", "verdict_forms", "quoted_verdicts", "protocol", "words_after"),
            ("samples", "samples", "quorum"),
            ("asking", "asking"),
            ("aggregation", "aggregation", "rubric_judge", "panel_failures"),
            ("weighing", "aggregation", "combining", "lists"),
            ("combining", "combining", "jurors_worth"),
            ("jury", "jury"),
            ("lists", "lists", "ranking_judge"),
            ("ranking", "ranking"),
            ("marked_errors", "marked_errors", "quoted_verdicts", "quoted_blocks"),
            ("own_words", "quoted_blocks", "quoted_verdicts"),
            ("lookalikes", "fencing"),
            ("second_asking", "second_asking", "unreadable_words"),
            ("budget", "budget"),
            ("calibration", "calibration", "calibration_without_errors"),
            ("fencing", "fencing"),
            ("rendering", "rendering", "rendered_fences", "own_templates"),
            ("messages", "rendering", "rendered_fences"),
            ("probes", "probes"),
        )
    },
    **{
        f"rlaif/judges/remote/{file}.py": tuple(
            f"tests/unit/judges/remote/test_{name}.py" for name in names
        )
        for file, *names in (
            ("limiter", "limiter"),
            ("breaker", "breaker_and_waits"),
            ("waits", "breaker_and_waits"),
            ("keeping", "keeping", "stored_replies"),
            ("reading", "label_reading"),
            ("asking", "openai_judge", "refused_fields", "reply_keys", "drawn_samples", "writing"),
            ("refused_fields", "words_of_refusals", "completions"),
            ("failures", "completions", "hostile_servers", "servers_left_out"),
            ("calling", "budgeted_judge", "hostile_servers", "busy_servers", "servers_left_out"),
            ("endpoints", "endpoints"),
            ("completion", "completions"),
            (
                *(
                    "answers",
                    "cut_at_servers",
                    "openai_judge",
                    "reply_objects",
                    "drawn_samples",
                    "writing",
                ),
                "unreadable_replies",
            ),
        )
    },
    **{
        f"rlaif/stages/{file}.py": (f"tests/unit/stages/test_{file}.py",)
        for file in ("last_words", "ranked_lists", "revision")
    },
    "rlaif/stages/human_pairs.py": (
        "tests/unit/stages/test_human_pairs.py",
        "tests/unit/stages/test_implied_by_ratings.py",
    ),
    "rlaif/feedback.py": ("tests/unit/ledger/test_labels_mended.py",),
    "rlaif/cycle/calibrating.py": ("tests/cycle/test_replaced_labels.py",),
    "rlaif/stages/drift.py": (
        "tests/unit/stages/test_drift.py",
        "tests/unit/stages/test_drift_references.py",
    ),
    "rlaif/stages/calibration.py": (
        "tests/unit/stages/test_judge_calibration.py",
        "tests/unit/stages/test_calibration_quarantine.py",
    ),
    "rlaif/stages/preferences.py": ("tests/unit/stages/test_preferences.py",),
    "rlaif/sides.py": ("tests/unit/test_sides.py", "tests/unit/stages/test_even_pairs.py"),
    **{
        f"rlaif/stages/{file}.py": (
            f"tests/unit/stages/test_{file}.py",
            "tests/unit/stages/test_room_to_rise.py",
        )
        for file in ("audit", "probing")
    },
    "rlaif/clusters.py": ("tests/unit/test_clusters.py",),
    "rlaif/logistic.py": ("tests/unit/judges/test_agreement_by_prompt.py",),
    "rlaif/figures.py": ("tests/unit/judges/test_agreement_by_prompt.py",),
    "rlaif/judges/kappa.py": ("tests/unit/judges/test_agreement_by_prompt.py",),
    "rlaif/cycle/trusting.py": ("tests/cycle/test_audit_window.py",),
    "rlaif/stages/ppo/": (
        "tests/unit/stages/test_ppo_plain.py",
        "tests/unit/stages/test_ppo_settings.py",
        "tests/unit/stages/test_ppo_wiring.py",
        "tests/unit/stages/test_ppo_kl_wiring.py",
        "tests/unit/stages/test_ppo_rewards.py",
        "tests/unit/stages/test_ppo.py",
        "tests/unit/stages/test_ppo_critics.py",
        "tests/unit/stages/test_ppo_faults.py",
        "tests/unit/stages/test_ppo_checkpoints.py",
        "tests/unit/stages/test_ppo_optimum.py",
    ),
}


def patched_file(patch: Path) -> str:
    """Return the path of the file that a patch changes."""
    lines = patch.read_text(encoding="utf-8").splitlines()
    return next(line[6:].strip() for line in lines if line.startswith("+++ b/"))


def plant(patch: Path, folder: Path) -> str:
    """Copy the package and apply a patch; return what went wrong, or nothing."""
    ignored = shutil.ignore_patterns("__pycache__", "_share")
    shutil.copytree(ROOT / "rlaif", folder / "rlaif", ignore=ignored)
    for name in ("prompts", "policies"):
        (folder / name).symlink_to(ROOT / name)
    if patch.name == NONE:
        return ""
    done = subprocess.run(
        ["git", "apply", "-p1", "--recount", str(patch)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
    )
    return done.stderr.strip()


class FirstFailure:
    """A plugin of pytest that writes down which test fails first, and how."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._place.exists():
            why = f"{report.when}: {report.longreprtext[-LAST_WORDS:]}"
            said = {"by": report.nodeid, "why": why}
            self._place.write_text(json.dumps(said), encoding="utf-8")


def test_in_child(folder: Path, tests: tuple[str, ...]) -> int:
    """Run tests against the package in a folder, in a forked child; return their exit code."""
    child = os.fork()
    if child == 0:
        _become_tester(folder, tests)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGKILL


test_in_child.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def _become_tester(folder: Path, tests: tuple[str, ...]) -> None:
    code = BROKEN
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.chdir(ROOT)
        sys.path.insert(0, str(folder))
        os.environ["PYTHONPATH"] = str(folder)  # for what the tests start,
        os.environ["PYTHONSAFEPATH"] = "1"  # and before the folder they are started in
        sys.dont_write_bytecode = True
        # After a fork torch makes its pool anew at the first call, which only one thread may make;
        # the library loads weights in several.
        torch.set_num_threads(1)
        hypothesis.settings.register_profile(
            "faults", max_examples=15, derandomize=True, deadline=None, database=None
        )
        hypothesis.settings.load_profile("faults")
        given = [*tests, "-x", "-q", "-p", "no:cacheprovider", *UNUSED, *IMPORTED_ALREADY]
        code = int(pytest.main(given, plugins=[FirstFailure(folder / FAILED)]))
        import rlaif

        if folder not in Path(rlaif.__file__).parents:
            code = BROKEN
    finally:
        os._exit(code)


def judge(patch: Path) -> dict[str, object]:
    """Return what became of a fault."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fault = plant(patch, folder)
        code = None
        for tests in () if fault else watching(patch):
            code = test_in_child(folder, tests)
            if code == RED:
                break
        failed = folder / FAILED
        first = json.loads(failed.read_text(encoding="utf-8")) if failed.exists() else {}
    found = {"patch": patch.name, "refused": fault, "code": code, "red": code == RED, "by": None}
    return found | first


def watching(patch: Path) -> list[tuple[str, ...]]:
    """Return the tests to run, one lot after the other until a test turns red."""
    killers: dict[str, str] = json.loads(KILLERS.read_text(encoding="utf-8"))
    if patch.name == NONE:
        return [tuple(sorted({*RL_TESTS, *killers.values()}))]
    target = patched_file(patch)
    near = next((found for prefix, found in WATCHERS.items() if target.startswith(prefix)), None)
    known = killers.get(patch.name)
    return [lot for lot in ((known,) if known else None, near, REST) if lot]


def main(patches: list[Path]) -> int:
    """Judge all faults, some at a time; return 1 if a judge died."""
    torch.set_num_threads(1)
    judges = []
    for place in range(AT_ONCE):
        judges.append(os.fork())
        if judges[-1] == 0:
            for patch in patches[place::AT_ONCE]:
                os.write(1, (json.dumps(judge(patch)) + "\n").encode())
            os._exit(0)
    return int(any(os.waitpid(judge, 0)[1] for judge in judges))


if __name__ == "__main__":
    sys.exit(main([Path(p).absolute() for p in sys.argv[1:]]))
