"""``rlaif report``: the whole project in figures."""

import click
from rich.console import Console
from rich.table import Table

from rlaif.cli.documented import Command
from rlaif.cli.output import (
    cell,
    duration,
    emit_json,
    interval,
    json_option,
    number,
    one_line,
    percent,
    stdout,
    table,
)
from rlaif.cli.place import Place
from rlaif.records import OPTIMIZER_NAMES
from rlaif.report import CycleFigures, EvaluationFigures, Report, build_report


@click.command(
    cls=Command,
    examples=[
        "rlaif report",
        "rlaif report --json",
        "rlaif --project state/demo report",
    ],
)
@json_option
@click.pass_obj
def report(place: Place, as_json: bool) -> None:
    """Show all cycles: figures, decisions and answers to read.

    With an oracle its figures stand beside; the gate never sees them. At the end five held-out
    prompts, with the answers of the base and of the policy that is live.
    """
    with place.reader() as reader:
        found = build_report(reader)
    if as_json:
        emit_json(found.model_dump(mode="json"))
    else:
        print_report(found, stdout())


def print_report(found: Report, console: Console) -> None:
    """Print a report for people."""
    if not found.cycles:
        console.print("No cycle was begun yet: rlaif run")
        return
    tables = (_results(found), _oracle(found), _judge(found), _training(found), _work(found))
    for shown in tables:
        if shown is not None:
            console.print(shown, "")
    for figures in found.cycles:
        if figures.gate is not None:
            reasons = one_line("; ".join(figures.gate.reasons))
            console.print(f"cycle {figures.cycle}: {figures.gate.decision}: {reasons}")
    for note in found.notes:
        console.print(f"note: {one_line(note)}")
    console.print(f"\nlive policy: {found.policy or '-'}")
    if found.evaluations:
        console.print(_about_judge(found))
    if found.samples:
        console.print("", _samples(found))


def cycle_line(figures: CycleFigures) -> str:
    """Return a cycle's result as one line."""
    decision = figures.gate.decision if figures.gate else "not finished"
    parts = [f"cycle {figures.cycle}: {decision}"]
    if figures.gate is not None and figures.evaluation is None:  # it never came to a challenger
        parts += [one_line(reason) for reason in figures.gate.reasons]
    if figures.evaluation is not None:
        base = percent(figures.evaluation.win_rate_vs_base)
        wins = _with_interval(figures.evaluation)
        parts.append(f"win rate {wins} against the incumbent, {base} against base")
    if figures.reward_model is not None:
        parts.append(f"reward model {percent(figures.reward_model.accuracy)} right")
    if figures.ppo is not None:
        kl, to = figures.ppo.kl_reference, "the reference"
        if kl is None:
            kl, to = figures.ppo.kl_base, "base"
        parts.append(f"KL {number(kl)} nats to {to}")
    if figures.oracle is not None:
        parts.append(f"oracle {percent(figures.oracle.win_rate_vs_base)} against base")
    return "; ".join([*parts, duration(sum(figures.seconds.values()))])


def _results(found: Report) -> Table:
    shown = table(
        "Cycles",
        *("cycle", "win rate vs\nincumbent", "at equal\nlength", "vs base", "gate"),
        *("oracle\nvs base", "time"),
        words=("gate",),
    )
    controlled = {e.cycle: e.vs_incumbent.length_controlled for e in found.evaluations}
    for c in found.cycles:
        shown.add_row(
            str(c.cycle),
            _with_interval(c.evaluation) if c.evaluation else "-",
            percent(controlled.get(c.cycle)),
            percent(c.evaluation.win_rate_vs_base if c.evaluation else None),
            c.gate.decision if c.gate else "not yet",
            percent(c.oracle.win_rate_vs_base if c.oracle else None),
            duration(sum(c.seconds.values())),
        )
    return shown


def _work(found: Report) -> Table:
    columns = ("cycle", "prompts", "answers", "judgements", "unscored", "preferences")
    shown = table("Work", *columns)
    for c in found.cycles:
        counts = (c.cycle, c.prompts, c.completions, c.judgements, c.unscored, c.preferences)
        shown.add_row(*map(str, counts))
    return shown


def _training(found: Report) -> Table:
    shown = table(
        "Training (KL in nats per sequence)",
        *("cycle", "reward model\naccuracy", "\nECE", "optimiser", "\nupdates"),
        *("KL to\nreference", "KL to\nbase", "\nbeta"),
        words=("optimiser",),
    )
    for c in found.cycles:
        reward_model, ppo = c.reward_model, c.ppo
        shown.add_row(
            str(c.cycle),
            percent(reward_model.accuracy if reward_model else None),
            number(reward_model.ece if reward_model else None, 3),
            OPTIMIZER_NAMES[ppo.optimizer] if ppo else "-",
            str(ppo.updates) if ppo else "-",
            number(ppo.kl_reference if ppo else None),
            _with_error(ppo.kl_base, ppo.kl_base_error) if ppo else "-",
            number(ppo.beta if ppo else None, 3),
        )
    return shown


def _with_error(mean: float | None, error: float | None) -> str:
    return number(mean) if error is None else f"{number(mean)} ± {number(error)}"


def _oracle(found: Report) -> Table | None:
    measured = [(c.cycle, c.oracle) for c in found.cycles if c.oracle is not None]
    if not measured:
        return None
    shown = table(
        "Oracle (exact; measured after the gate had decided)",
        *("cycle", "score:\nbase", "\nincumbent", "\nchallenger", "right:\nbase"),
        *("right:\nchallenger", "win rate\nvs base", "agrees with\nthe judge"),
    )
    for cycle, o in measured:
        scores = (number(value, 3) for value in (o.base, o.incumbent, o.challenger))
        shares = (o.correct_base, o.correct_challenger, o.win_rate_vs_base, o.judge_agreement)
        shown.add_row(str(cycle), *scores, *map(percent, shares))
    return shown


def _judge(found: Report) -> Table | None:
    measured = [(c.cycle, c.judge) for c in found.cycles if c.judge is not None]
    if not measured:
        return None
    shown = table(
        "Judge and humans (agreement with the frozen labels)",
        *("cycle", "labels", "agreement", "drift", ""),
        words=("drift",),
        prose=("",),
    )
    for cycle, judge in measured:
        rate = interval(judge.agreement, *judge.ci)
        drift = "yes" if judge.drift_found else "no"
        said = "; ".join(filter(None, (judge.drift, judge.reference)))
        shown.add_row(str(cycle), str(judge.labels), rate, drift, cell(said))
    return shown


def _samples(found: Report) -> Table:
    prose = ("prompt", "base", "current")
    shown = table("Answers to held-out prompts", *prose, prose=prose)
    for sample in found.samples:
        shown.add_row(cell(sample.prompt), cell(sample.base), cell(sample.current))
        shown.add_row("", "", "")
    return shown


def _about_judge(found: Report) -> str:
    newest = found.evaluations[-1]
    if not newest.judge_path:
        return "win rates are those of the rubric's rules and embeddings: it asks no judge"
    same = "the judge that trains" if newest.judge_is_trainer else "a judge that does not train"
    flagged = "".join(f"; {one_line(told)}: it grades itself" for told in newest.self_grading)
    return f"win rates are those of {one_line(newest.judge_path)}, {same}{flagged}"


def _with_interval(figures: EvaluationFigures) -> str:
    low, high = figures.ci
    return f"{percent(figures.win_rate_vs_incumbent)} [{100 * low:.0f}, {100 * high:.0f}]"
