"""``rlaif rubric``: write, read, check, try and compare rubrics."""

from pathlib import Path

import click

from rlaif.cli.documented import Group
from rlaif.cli.output import cell, emit_json, json_option, stdout, table, visible
from rlaif.cli.place import Place
from rlaif.cli.rubric_files import FOLDER, LANGUAGES, find_rubric, is_name, list_rubrics, new_rubric
from rlaif.cli.rubric_trial import preview, test
from rlaif.errors import RubricError

HASH_SHOWN = 12


@click.group(
    cls=Group,
    examples=[
        "rlaif rubric list",
        "rlaif rubric new our-tone",
        "rlaif rubric validate our-tone",
        "rlaif rubric validate prompts/rubrics/our-tone.toml",
        "rlaif rubric preview our-tone",
    ],
)
def rubric() -> None:
    """Write, read, check, try and compare rubrics.

    A rubric is named by its name, the project's own before those that ship, or by its file.
    """


@rubric.command(
    examples=[
        "rlaif rubric new our-tone",
        "rlaif rubric new our-tone --language zh",
        "rlaif rubric new our-desk --from support-desk",
    ],
)
@click.argument("name", metavar="NAME")
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default=LANGUAGES[0],
    show_default=True,
    help="Of the template that it begins with.",
)
@click.option("--from", "origin", metavar="NAME|FILE", help="A rubric to begin with, copied whole.")
@json_option
@click.pass_obj
def new(place: Place, name: str, language: str, origin: str | None, as_json: bool) -> None:
    """Begin a rubric from a commented template.

    It is written to prompts/rubrics/NAME.toml in the project, and can be used as it stands. A file
    that is there already is never overwritten.
    """
    path = new_rubric(place, name, language, origin)
    if as_json:
        emit_json({"path": str(path), "setting": (FOLDER / path.name).as_posix()})
        return
    shown = visible(str(path))
    click.echo(f"wrote {shown}: edit it, then check it with 'rlaif rubric validate {shown}'")
    click.echo(f'to judge by it: path = "{(FOLDER / path.name).as_posix()}" under [rubric]')


@rubric.command(
    "list",
    examples=[
        "rlaif rubric list",
        "rlaif rubric list --json",
    ],
)
@json_option
@click.pass_obj
def list_all(place: Place, as_json: bool) -> None:
    """List the project's rubrics and those that ship.

    The one that the project judges by is marked. The content hash changes with whatever in the
    file can change a label.
    """
    rows = list_rubrics(place)
    if as_json:
        emit_json({"rubrics": [row.as_json() for row in rows]})
        return
    columns = ("name", "active", "whose", "language", "content", "criteria")
    shown = table("Rubrics", *columns, words=columns[:-1], prose=("criteria",))
    for row in rows:
        found = row.rubric
        criteria = ", ".join(c.name for c in found.criteria) if found else f"broken: {row.error}"
        shown.add_row(
            cell(row.name),
            "*" if row.active else "",
            row.where,
            cell(found.language) if found else "-",
            found.content_hash[:HASH_SHOWN] if found else "-",
            cell(criteria),
        )
    stdout().print(shown)


@rubric.command(
    examples=[
        "rlaif rubric show helpful",
        "rlaif rubric show prompts/rubrics/our-tone.toml --json",
    ],
)
@click.argument("name", metavar="NAME|FILE")
@json_option
@click.pass_obj
def show(place: Place, name: str, as_json: bool) -> None:
    """Show what a rubric asks, and how much it counts."""
    from rlaif.cli.rubric_shown import rubric_text
    from rlaif.judges.rubric import load_rubric

    path = find_rubric(place, name)
    found = load_rubric(path)
    if as_json:
        content = found.model_dump(mode="json", exclude_none=True)
        emit_json({"path": str(path), "content_hash": found.content_hash, **content})
    else:
        click.echo(rubric_text(found, path))


@rubric.command(
    examples=[
        "rlaif rubric validate prompts/rubrics/our-tone.toml",
        "rlaif rubric validate draft.toml --json",
    ],
)
@click.argument("name", metavar="NAME|FILE")
@json_option
@click.pass_context
def validate(ctx: click.Context, name: str, as_json: bool) -> None:
    """Say what is wrong with a rubric, and what is odd.

    Errors come with line and field, the first of each criterion; then the exit code is 78. What
    is allowed and seldom meant is a warning, and no error: a judge criterion without weight, names
    or texts that cannot be told apart, choices that go from best to worst. In a project it is
    also checked that the judge's template can show all that the rubric has, that the functions of
    python criteria are there, and whether the bundled judge is asked what it was never taught.
    """
    from rlaif.cli.rubric_check import check_rubric

    file = find_rubric(ctx.obj, name) if is_name(name) else Path(name).expanduser()
    report = check_rubric(ctx.obj, file)
    if as_json:
        emit_json({"file": str(file), **report.as_json()})
    else:
        for error in report.errors:
            click.echo(f"Error: {visible(str(error))}", err=True)
        for warned in report.warnings:
            click.echo(visible(f"warning: {warned}"))
        if report.rubric is not None:
            count, content = len(report.rubric.criteria), report.rubric.content_hash[:HASH_SHOWN]
            click.echo(visible(f"{file} is a rubric: {count} criteria, content {content}"))
    if report.errors:
        ctx.exit(RubricError.exit_code)


@rubric.command(
    examples=[
        "rlaif rubric diff helpful prompts/rubrics/our-tone.toml",
        "rlaif rubric diff old.toml new.toml --json",
    ],
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@json_option
@click.pass_obj
def diff(place: Place, before: str, after: str, as_json: bool) -> None:
    """Show what differs between two rubrics.

    A and B are names or files. What is compared is what can change a label, criterion by
    criterion; labels of rubrics with other content are kept apart.
    """
    from rlaif.cli.rubric_shown import difference, difference_text
    from rlaif.judges.rubric import load_rubric

    paths = [find_rubric(place, name) for name in (before, after)]
    old, new = map(load_rubric, paths)
    found = difference(old, new)
    if as_json:
        sides = zip(paths, (old, new), strict=True)
        hashes = [{"path": str(p), "content_hash": r.content_hash} for p, r in sides]
        emit_json({"before": hashes[0], "after": hashes[1], **found.as_json()})
        return
    for sign, path in zip("-+", paths, strict=True):
        click.echo(f"{sign} {visible(str(path))}")
    click.echo(difference_text(found))


rubric.add_command(preview)
rubric.add_command(test)
