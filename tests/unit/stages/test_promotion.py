"""The gate: every check must pass, and each failure says why."""

import json
from pathlib import Path

import pytest

from rlaif.artifacts import verify
from rlaif.config import FeedbackConfig, GateConfig
from rlaif.judges.agreement import Estimate
from rlaif.records import ArtifactRef, EvaluationReport, RewardModelReport, WinRate
from rlaif.stages.drift import Drift
from rlaif.stages.promotion import decide, drift_check, hold, write_policy

WINS = WinRate(
    rate=0.7, low=0.64, high=0.76, length_controlled=0.68, prompts=300, tied=0, unscored=0
)
GOOD = EvaluationReport(
    vs_incumbent=WINS,
    vs_base=WINS,
    score_challenger=0.8,
    score_incumbent=0.7,
    diversity_challenger=0.4,
    diversity_base=0.5,
    length_challenger=15.0,
    length_base=20.0,
    kl_base=9.0,
    kl_base_error=0.5,
    kl_base_high=9.98,
    rubric_hash="r",
    judge_path="judge",
    judge_is_trainer=True,
)
TRAINED = RewardModelReport(
    preferences=300,
    heldout=50,
    accuracy=0.8,
    ece=0.05,
    length_correlation=0.0,
    train_loss=0.4,
    gain=1.0,
    bias=0.0,
    artifact=ArtifactRef(name="reward-model", digest="d"),
)


def test_a_good_challenger_is_promoted_with_all_reasons() -> None:
    decision = decide(GateConfig(), GOOD, TRAINED)
    assert decision.decision == "promote"
    assert len(decision.reasons) == len(decision.checks) == 7


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"vs_incumbent": WINS.model_copy(update={"low": 0.5})}, "win_rate"),
        ({"kl_base": 19.0, "kl_base_error": 0.6, "kl_base_high": 20.18}, "kl_base"),
        ({"kl_base": 0.0, "kl_base_error": None, "kl_base_high": None}, "kl_base"),
        ({"score_challenger": 0.699}, "score"),
        ({"score_challenger": None, "score_incumbent": None}, "score"),
        ({"vs_incumbent": WINS.model_copy(update={"unscored": 31})}, "unscored"),
        ({"diversity_challenger": 0.124}, "diversity"),
        ({"length_challenger": 40.1}, "length"),
    ],
)
def test_each_guard_alone_holds(change: dict[str, object], name: str) -> None:
    decision = decide(GateConfig(), GOOD.model_copy(update=change), TRAINED)
    assert decision.decision == "hold"
    assert [c.name for c in decision.checks if not c.passed] == [name]
    assert len(decision.reasons) == 1
    assert "is not" in decision.reasons[0]


def test_every_bound_but_the_win_rates_may_be_touched() -> None:
    bounds = {
        "kl_base_high": 20.0,
        "score_challenger": 0.7,
        "vs_incumbent": WINS.model_copy(update={"unscored": 30}),
        "diversity_challenger": 0.125,
        "length_challenger": 40.0,
    }
    touching = TRAINED.model_copy(update={"accuracy": 0.55})
    assert decide(GateConfig(), GOOD.model_copy(update=bounds), touching).decision == "promote"


def test_an_evaluation_without_an_error_of_its_kl_loads_and_is_not_taken_for_safe() -> None:
    content = GOOD.model_dump(exclude={"kl_base_error", "kl_base_high"})
    old = EvaluationReport.model_validate(content)
    (reason,) = decide(GateConfig(), old, TRAINED).reasons
    assert "KL to base 9.00 nats per sequence (standard error not known) is not surely" in reason


@pytest.mark.parametrize("accuracy", [None, 0.54])
def test_an_unproven_reward_model_holds(accuracy: float | None) -> None:
    decision = decide(GateConfig(), GOOD, TRAINED.model_copy(update={"accuracy": accuracy}))
    assert [c.name for c in decision.checks if not c.passed] == ["reward_accuracy"]


def test_no_challenger_is_a_hold_with_the_reason() -> None:
    assert hold("nothing to train on").reasons == ("nothing to train on",)
    assert hold("nothing to train on").decision == "hold"


def test_a_promoted_folder_has_weights_card_and_manifest(tmp_path: Path) -> None:
    challenger = tmp_path / "challenger"
    challenger.mkdir()
    (challenger / "model.safetensors").write_bytes(b"weights")
    (challenger / "metrics.jsonl").write_text("{}\n", encoding="utf-8")
    (challenger / "manifest.json").write_text("{}", encoding="utf-8")
    target = tmp_path / "policies" / "v0001"
    write_policy(challenger, target, {"parent": "v0000", "rubric": "有用 | helpful"})
    verify(target)
    assert sorted(p.name for p in target.iterdir()) == [
        "README.md",
        "lineage.json",
        "manifest.json",
        "model.safetensors",
    ]
    lineage = json.loads((target / "lineage.json").read_text(encoding="utf-8"))
    assert lineage == {"parent": "v0000", "rubric": "有用 | helpful"}
    assert "有用 \\| helpful" in (target / "README.md").read_text(encoding="utf-8")


FALL = Estimate(value=-0.2, error=0.05, low=-0.3, high=-0.1)
WORDS = "agreement with 40 frozen labels changed by -0.200 [-0.300, -0.100] since cycle 1"


@pytest.mark.parametrize(
    ("found", "on_drift", "decision"),
    [(True, "hold", "hold"), (True, "warn", "promote"), (False, "hold", "promote")],
)
def test_a_judge_that_drifted_stops_promotion_where_it_is_told_to(
    found: bool, on_drift: str, decision: str
) -> None:
    config = FeedbackConfig.model_validate({"on_drift": on_drift, "max_drift": 0.08})
    drift = Drift(found=found, reason=WORDS, reference=1, change=FALL, labels=40, prompts=40)
    made = decide(GateConfig(), GOOD, TRAINED, drift_check(config, drift))
    assert made.decision == decision
    check = made.checks[-1]
    assert (check.name, len(made.checks)) == ("judge_drift", 8)
    is_it = "is" if found else "is not"
    assert f"{WORDS}, which {is_it} a sure fall by more than 0.080" in check.reason
    assert ("warn" in check.reason) == (on_drift == "warn")


def test_where_drift_cannot_be_told_the_check_says_why_and_passes() -> None:
    check = drift_check(FeedbackConfig(), Drift(found=False, reason="measured for the first time"))
    assert (check.passed, check.reason) == (True, "measured for the first time")
