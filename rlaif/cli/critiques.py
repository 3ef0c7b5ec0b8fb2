"""``rlaif critiques``: what the judge said."""

import click

from rlaif.cli.documented import Command
from rlaif.cli.output import emit_json, hanging, json_option, percent, visible
from rlaif.cli.place import Place
from rlaif.ledger.critique_reads import CritiqueView
from rlaif.records import Choice, Rating

SHOWN = 20


@click.command(
    cls=Command,
    examples=[
        "rlaif critiques --limit 5",
        'rlaif critiques "capital of France"',
        "rlaif critiques --criterion courteous --cycle 2",
        "rlaif critiques --unscored --json",
        "rlaif critiques --search '\"reward-hacking\" polite'",
    ],
)
@click.argument("prompt_or_id", required=False)
@click.option("--criterion", metavar="NAME", help="Only those under this criterion.")
@click.option("--cycle", type=click.IntRange(min=1), help="Only those of this cycle.")
@click.option("--unscored", is_flag=True, help="Only those without a verdict.")
@click.option(
    "--search", metavar="TEXT", help="Only those where critique or prompt hold the words."
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=SHOWN, show_default=True, help="How many."
)
@json_option
@click.pass_obj
def critiques(
    place: Place,
    prompt_or_id: str | None,
    criterion: str | None,
    cycle: int | None,
    unscored: bool,
    search: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show critiques and verdicts, newest first.

    PROMPT-OR-ID is the id of a critique, a completion, a prompt or a preference, or a prompt's
    text or a part of it.
    """
    with place.reader() as reader:
        found = reader.critiques(
            prompt_or_id,
            criterion=criterion,
            cycle=cycle,
            unscored=unscored,
            search=search,
            limit=limit,
        )
    if as_json:
        emit_json({"critiques": [view.model_dump(mode="json") for view in found]})
    else:
        click.echo("\n\n".join(map(_shown, found)) or "no critique matches")


def _shown(view: CritiqueView) -> str:
    head = f"cycle {view.cycle}  {view.stage}  {view.criterion}  {view.kind}  {view.id}"
    labels = ("answer",) if len(view.completions) == 1 else ("first", "second")
    return "\n".join(
        [
            click.style(visible(head), bold=True),
            hanging("prompt", f"{view.prompt}  ({view.prompt_id})"),
            *(
                hanging(label, f"{completion.text}  ({completion.id})")
                for label, completion in zip(labels, view.completions, strict=True)
            ),
            hanging("critique", view.critique),
            hanging("verdict", _verdict(view)),
        ]
    )


def _verdict(view: CritiqueView) -> str:
    match view.verdict:
        case Rating(score=score):
            return f"{score:.2f} of 1"
        case Choice(p_first=p_first):
            return f"first is better with {percent(p_first)}"
        case unscored:
            return f"unscored: {unscored.reason}"
