"""The gate, and what it does to the folder of policies."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlaif.artifacts import MANIFEST, landing
from rlaif.config import FeedbackConfig, GateConfig
from rlaif.errors import StageError
from rlaif.records import EvaluationReport, GateCheck, GateDecision, RewardModelReport
from rlaif.stages.drift import TO_ACCEPT, Drift

LINEAGE = "lineage.json"
CARD = "README.md"


def decide(
    config: GateConfig,
    evaluation: EvaluationReport,
    reward_model: RewardModelReport,
    drift: GateCheck | None = None,
) -> GateDecision:
    """Decide whether a challenger is promoted: every check must pass.

    What it may know is in its arguments: the judge's evaluation, the reward model's report, and
    whether the judge drifted from what humans say, where they said anything.
    """
    wins = evaluation.vs_incumbent
    floor = config.min_diversity * evaluation.diversity_base
    ceiling = config.max_length_growth * evaluation.length_base
    accuracy = reward_model.accuracy
    checks: tuple[GateCheck, ...] = (
        _check(
            "win_rate",
            wins.low > config.min_win_rate,
            f"win rate against the incumbent {wins.rate:.3f} ({wins.tied} of {wins.prompts} tied), "
            f"lower bound {wins.low:.3f}",
            f"above {config.min_win_rate:.3f}",
        ),
        _score_check(config, evaluation),
        _check(
            "unscored",
            wins.unscored <= config.max_unscored * wins.prompts,
            f"{wins.unscored} of {wins.prompts} pairs unscored",
            f"at most {config.max_unscored:.0%}",
        ),
        _kl_check(config, evaluation),
        _check(
            "diversity",
            evaluation.diversity_challenger >= floor,
            f"diversity {evaluation.diversity_challenger:.3f}",
            f"at least {floor:.3f}",
        ),
        _check(
            "length",
            evaluation.length_challenger <= ceiling,
            f"mean length {evaluation.length_challenger:.1f} tokens",
            f"at most {ceiling:.1f}",
        ),
        _check(
            "reward_accuracy",
            accuracy is not None and accuracy >= config.min_reward_accuracy,
            "reward model's held-out accuracy "
            + ("not measured" if accuracy is None else f"{accuracy:.3f}"),
            f"at least {config.min_reward_accuracy:.3f}",
        ),
    )
    if drift is not None:
        checks = (*checks, drift)
    return GateDecision(
        decision="promote" if all(c.passed for c in checks) else "hold", checks=checks
    )


def drift_check(config: FeedbackConfig, drift: Drift) -> GateCheck:
    """Check that the judge still agrees with humans as it did; ``on_drift`` may only warn."""
    fall = f"a sure fall by more than {config.max_drift:.3f}"
    if drift.found:
        words = f"{drift.reason}, which is {fall}"
        warned = f"; {TO_ACCEPT}" if config.on_drift == "hold" else ' (feedback.on_drift = "warn")'
        return GateCheck(
            name="judge_drift", passed=config.on_drift != "hold", reason=words + warned
        )
    words = drift.reason if drift.change is None else f"{drift.reason}, which is not {fall}"
    return GateCheck(name="judge_drift", passed=True, reason=words)


def hold(reason: str) -> GateDecision:
    """Return a decision to hold because there is no challenger to judge."""
    return GateDecision(
        decision="hold", checks=(GateCheck(name="challenger", passed=False, reason=reason),)
    )


def write_policy(challenger: Path, target: Path, card: Mapping[str, Any]) -> None:
    """Write a promoted policy: the challenger's weights and tokenizer with its lineage card.

    Args:
        challenger: Folder that PPO left.
        target: ``policies/vNNNN``.
        card: Parents, digests, rubric and figures.
    """
    with landing(target) as folder:
        for path in sorted(challenger.iterdir()):
            if path.is_file() and path.name not in {MANIFEST, "metrics.jsonl"}:
                shutil.copyfile(path, folder / path.name)
        text = json.dumps(card, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        (folder / LINEAGE).write_text(text, encoding="utf-8")
        (folder / CARD).write_text(_card_text(target.name, card), encoding="utf-8")


def refuse_stranger(target: Path, cycle: int, run_seed: int) -> None:
    """Refuse to write over a policy that this cycle did not write before it was stopped.

    Raises:
        StageError: The folder is somebody else's.
    """
    if not target.exists():
        return
    lineage = target / LINEAGE
    known = json.loads(lineage.read_text(encoding="utf-8")) if lineage.is_file() else {}
    if (known.get("cycle"), known.get("run_seed")) != (cycle, run_seed):
        raise StageError(
            f"{target} is there already, and this cycle did not write it",
            "room for the promoted policy",
            "move that folder away, then run again",
        )


def _kl_check(config: GateConfig, evaluation: EvaluationReport) -> GateCheck:
    """Check the lifetime ceiling: how far the policy may be from base, whatever the cycles.

    The upper end of the estimate's interval counts: what is not known to be below is not. Fewer
    than two answers have no interval, nor have evaluations of before it was measured.
    """
    error, high = evaluation.kl_base_error, evaluation.kl_base_high
    if error is None or high is None:
        interval, below = "standard error not known", False
    else:
        interval = f"standard error {error:.2f}, upper bound {high:.2f}"
        below = high <= config.max_kl_base
    return _check(
        "kl_base",
        below,
        f"KL to base {evaluation.kl_base:.2f} nats per sequence ({interval})",
        f"surely at most {config.max_kl_base:.2f}",
    )


def _score_check(config: GateConfig, evaluation: EvaluationReport) -> GateCheck:
    """Check the mean score: many small wins may hide a few great losses."""
    mine, other = evaluation.score_challenger, evaluation.score_incumbent
    known = mine is not None and other is not None
    gain = (mine or 0.0) - (other or 0.0)
    return _check(
        "score",
        known and gain >= config.min_score_gain,
        f"change of the mean score against the incumbent {gain:+.3f}"
        if known
        else "change of the mean score not measured",
        f"at least {config.min_score_gain:+.3f}",
    )


def _check(name: str, passed: bool, seen: str, wanted: str) -> GateCheck:
    verdict = "is" if passed else "is not"
    return GateCheck(name=name, passed=passed, reason=f"{seen} {verdict} {wanted}")


def _card_text(version: str, card: Mapping[str, Any]) -> str:
    rows = [f"| {key} | {_shown(value)} |" for key, value in sorted(card.items())]
    lines = [
        f"# Policy {version}",
        "",
        "Promoted by rlaif. Every figure is as the judge saw it on held-out prompts.",
        "",
        "| what | value |",
        "|---|---|",
        *rows,
        "",
    ]
    return "\n".join(lines)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("|", "\\|").replace("\n", " ")
