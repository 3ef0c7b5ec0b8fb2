"""What an audit is given: how a probe fared, and what a judge said of an answer."""

from rlaif.records import Judgement, ProbeOutcome, TrialKind, Verdict


def probe(kind: TrialKind, method: str, value: float | None) -> ProbeOutcome:
    return ProbeOutcome(
        probe_id="x",
        original_id="y",
        kind=kind,
        method="rating" if method == "rating" else "comparison",
        rubric_hash="h",
        value=value,
        unscored=None if value is not None else "mumbled",
    )


def rated(criterion: str, about: str, verdict: Verdict) -> Judgement:
    return Judgement(
        id=f"{criterion}-{about}-{verdict}",
        criterion=criterion,
        kind="pointwise",
        completion_ids=(about,),
        critique="words",
        verdict=verdict,
    )
