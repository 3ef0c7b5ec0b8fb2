"""``rlaif critiques show``: one critique whole, with what led to it and what came of it."""

import shutil
from collections.abc import Iterator
from typing import Any

import click

from rlaif.cli.critiques.columns import Section, below_each_other, side_by_side
from rlaif.cli.critiques.marks import marking_sections
from rlaif.cli.critiques.printing import labels_of, verdict_words
from rlaif.cli.documented import Command
from rlaif.cli.output import emit_json, hanging, json_option, number, one_line, percent, visible
from rlaif.cli.place import Place
from rlaif.ledger.critique_lineage import Lineage, Told, Trained
from rlaif.records import JudgeCall, Marking, PairVerdict, PolicyReport, Preference, Revision

_DIGEST = 12


@click.command(
    cls=Command,
    examples=[
        "rlaif critiques show judgement-3f9a0c21be77d04c5a16",
        "rlaif critiques show 1024 --json",
    ],
)
@click.argument("name", metavar="ID")
@json_option
@click.pass_obj
def show(place: Place, name: str, as_json: bool) -> None:
    """Show one critique whole.

    ID is a critique's id, the beginning of it, or its number. A pair or a list is shown in two
    orders side by side, with request and reply as they were, and with its lineage: up to the prompt
    and the policies that wrote the answers, down to the preference, the reward model, the update of
    the policy and the promotion.
    """
    with place.reader() as reader:
        found = reader.lineage(name)
    if as_json:
        emit_json(found.model_dump(mode="json"))
    else:
        click.echo("\n".join(_page(found, shutil.get_terminal_size().columns)))


def _page(found: Lineage, width: int) -> Iterator[str]:
    view = found.told.view
    head = f"cycle {view.cycle}  {view.stage}  {view.criterion}  {view.kind}  {view.id}"
    yield click.style(visible(head), bold=True)
    for message in found.messages:
        yield hanging("prompt" if len(found.messages) == 1 else message.role, message.content)
    yield ""
    told = list(_told(found.told, found.marking))
    if found.other is None:
        yield from below_each_other(told, width)
    else:
        yield from side_by_side(told, list(_told(found.other)), width)
    yield from _up(found)
    yield ""
    yield from _down(found)


def _told(told: Told, marking: Marking | None = None) -> Iterator[Section]:
    """Yield one order: the answers as the judge saw them, what it said, and what it was asked."""
    view = told.view
    for label, completion in zip(labels_of(view), view.completions, strict=True):
        yield f"{label} ({completion.id})", completion.text
    yield f"critique ({view.id}){_cut(told.writing or told.call)}", view.critique
    yield "verdict", verdict_words(view.verdict)
    if told.grader:
        yield "graded by", f"{told.grader}, from the critique alone"
    if marking is not None:
        yield from marking_sections(marking, view.completions[0].text)
    if told.writing is not None:
        yield from _exchange(told.writing, " for the critique")
    if told.call is not None:
        yield from _call(told.call, view.judge, view.method)


def _cut(call: JudgeCall | None) -> str:
    """Say that a critique was cut off, where it was; of earlier calls it is not known."""
    if call is None or not call.cut:
        return ""
    if len(call.samples) > 1:
        return f", {call.cut} of {len(call.samples)} replies cut off at their limit of tokens"
    return f", cut off at {call.reply_tokens} tokens"


def _call(call: JudgeCall, judge: str | None, method: str | None) -> Iterator[Section]:
    probs = ", ".join(f"{label} {value:.3f}" for label, value in sorted(call.label_probs.items()))
    tokens = f"{call.prompt_tokens} + {call.reply_tokens} tokens"
    yield "judge", f"{judge or call.judge}, verdict read from {method or 'nothing'}"
    yield "labels", probs or "no probabilities"
    yield "took", f"{call.latency:.2f} s, {tokens}, cost {call.cost:g}"
    yield from _exchange(call)
    for place, sample in enumerate(call.samples[1:], start=2):
        yield f"reply {place}", sample


def _exchange(call: JudgeCall, why: str = "") -> Iterator[Section]:
    yield f"request{why} ({call.request_hash[:_DIGEST]})", call.request
    yield f"reply{why}", call.reply


def _up(found: Lineage) -> Iterator[str]:
    view = found.told.view
    yield click.style("where it comes from", bold=True)
    tags = f", tags {', '.join(view.tags)}" if view.tags else ""
    yield hanging("prompt", f"{view.prompt_id} ({found.split}{tags})")
    for completion, writer in zip(view.completions, found.writers, strict=True):
        origin = "never live" if writer.version is None else writer.version
        if writer.cycle is not None:
            origin += f", promoted by cycle {writer.cycle}"
        by = writer.digest if ":" in writer.digest else writer.digest[:_DIGEST]
        yield hanging("answer", f"{completion.id} of {by} ({origin})")
    yield hanging("rubric", f"{view.rubric_hash[:_DIGEST]}, criterion {view.criterion}")


def _down(found: Lineage) -> Iterator[str]:
    yield click.style("what came of it", bold=True)
    for pair in found.pairs:
        yield hanging("pair", _pair(pair))
        if pair.quarantined is not None:
            yield hanging("held back", pair.quarantined)
    rated = found.told.view
    if rated.kind == "pointwise" and rated.quarantined is not None:
        yield hanging("held back", f"the rating: {rated.quarantined}")
    elif found.held is not None:
        yield hanging("held back", found.held)
    for revision in found.revisions:
        yield hanging("revision", _revision(revision))
    for preference in found.preferences:
        yield hanging("preference", _preference(preference), width=12)
    if not found.preferences:
        yield hanging("preference", "none: nothing was trained on it", width=12)
        return
    yield from _trained(found.trained)


def _pair(pair: PairVerdict) -> str:
    if pair.p_first is None:
        return f"{pair.first_id} and {pair.second_id}: unscored: {pair.unscored}"
    orders = (
        f" ({percent(pair.p_forward)} shown first, {percent(pair.p_backward)} shown second)"
        if pair.p_forward is not None
        else ""
    )
    return f"{pair.first_id} over {pair.second_id} with {percent(pair.p_first)}{orders}"


def _revision(revision: Revision) -> str:
    mended = revision.completion_id or "no answer"
    fate = f"{percent(revision.p_better)} better" if revision.p_better is not None else "not judged"
    why = f": {revision.rejected}" if revision.rejected is not None else ", confirmed"
    return f"{mended} of {revision.judge} for {revision.original_id}, {fate}{why}"


def _preference(preference: Preference) -> str:
    use = "trains" if preference.split == "train" else "measures the reward model"
    return (
        f"{preference.id}: {preference.first_id} over {preference.second_id} with "
        f"{percent(preference.label)}, from {preference.origin}, {use}"
    )


def _trained(trained: Trained) -> Iterator[str]:
    yield hanging("reward model", _reward_model(trained.reward_model, trained.artifacts), width=14)
    yield hanging("policy", _policy(trained.policy, trained.artifacts), width=14)
    if trained.gate is not None:
        reasons = one_line("; ".join(trained.gate.reasons))
        yield hanging("gate", f"{trained.gate.decision}: {reasons}", width=14)
    yield hanging("promoted", trained.promoted or "nothing", width=14)


def _reward_model(report: dict[str, Any] | None, artifacts: dict[str, str]) -> str:
    if report is None:
        return "not trained yet"
    accuracy = percent(report.get("accuracy"))
    return f"{_artifact('reward-model', artifacts)}, {accuracy} right on held-out pairs"


def _policy(report: dict[str, Any] | None, artifacts: dict[str, str]) -> str:
    if report is None:
        return "not updated yet"
    found = PolicyReport.model_validate(report)
    rewards = f"{number(found.reward_first)} to {number(found.reward_last)}"
    return (
        f"{_artifact('challenger', artifacts)}, {found.optimizer} updates 1 to {found.updates}, "
        f"reward {rewards}, KL {number(found.kl_reference)}: {found.stopped}"
    )


def _artifact(name: str, artifacts: dict[str, str]) -> str:
    digest = artifacts.get(name)
    return name if digest is None else f"{name} {digest[:_DIGEST]}"
