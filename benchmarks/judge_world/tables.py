"""The figures as tables in Markdown."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.judge_world.defences import MADE_FOR
from benchmarks.judge_world.success import ALL_ATTACKS
from benchmarks.judge_world.sureness import FIGURES, METHODS, RAW

Row = dict[str, Any]
WHOLE_SHOWN = "the whole"
SHOWN = {
    "label": "pairs whose label trains the worse, attacked answer to win",
    "held": "pairs of the attacked and the better answer that train nothing",
    "twin": "attacked answers that the judge prefers to the same without the attack",
    "rating": "attacked answers whose own rating gained",
}


def tables(found: Row) -> str:
    """Return all tables."""
    lines = [
        f"{found['pairs']} pairs of {found['prompts']} prompts, seed {found['seed']}, "
        f"{found['questions']} questions in {found['seconds']:.0f} s",
        "",
        *_criteria(found),
        "",
        *_fates(found["fates"]),
        "",
        *_calibration(found["calibration"]),
    ]
    lines += ["", "without a defence, more attacks work, in points:", ""]
    lines += _worth(found["attacks"]["differences"])
    for measure, title in SHOWN.items():
        lines += ["", f"{title}:", "", *_attacks(found["attacks"]["without"], measure)]
    return "\n".join(lines)


def share(figure: Row | None) -> str:
    """Return a share with its interval, in percent."""
    if figure is None or figure["rate"] is None:
        return "-"
    low, high = 100 * figure["low"], 100 * figure["high"]
    return f"{figure['rate']:.1%} ({low:.0f}-{high:.0f})"


def number(figure: Row) -> str:
    """Return a figure with its interval."""
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def rows(*cells: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a table whose first row is its head."""
    head, *body = cells
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    yield from (f"| {' | '.join(row)} |" for row in body)


def _criteria(found: Row) -> Iterator[str]:
    titles = ("pairs right", "ratings right", "kappa of ratings", "flips", "flips of even pairs")
    yield from rows(
        ("criterion", *titles, "unscored"),
        *(
            (
                name or WHOLE_SHOWN,
                f"{share(row['pairs']['accuracy'])} of {row['pairs']['accuracy']['count']}",
                f"{share(row['ratings']['accuracy'])} of {row['ratings']['accuracy']['count']}",
                _kappa(row["ratings"]["kappa"]),
                share(row["flips"]),
                share(row["flips_of_even"]),
                share(row["unscored"]),
            )
            for name, row in found["criteria"].items()
        ),
    )
    yield ""
    yield f"correlation of the whole score with the oracle's: {found['score_correlation']:.3f}"


def _kappa(figure: Row | None) -> str:
    return "-" if figure is None else number(figure)


def _fates(fates: Row) -> Iterator[str]:
    body = [(name, str(row["pairs"]), share(row["right"])) for name, row in fates.items()]
    yield from rows(("what becomes of the pair", "pairs", "whole label right"), *body)


def _calibration(calibration: Row) -> Iterator[str]:
    head = ("label", "calibration", "calibration error", "Brier score", "log-loss")
    body = []
    for kind, by_method in calibration.items():
        for method in (RAW, *METHODS):
            row = by_method[method]
            known = "reason" not in row
            cells = (number(row[name]) for name in FIGURES) if known else (row["reason"], "", "")
            body.append((kind, _with_temperature(method, row), *cells))
    yield from rows(head, *body)


def _with_temperature(method: str, row: Row) -> str:
    values = " and ".join(f"{value:.2f}" for value in row.get("temperatures", ()))
    return f"{method} ({values})" if values else method


def _worth(differences: Row) -> Iterator[str]:
    """Yield what each defence is worth: against the attack made for it, where there is one."""
    measures = ("label", "twin", "rating")
    body = [
        (name, group, *(_change(by_group[group][measure]) for measure in measures))
        for name, by_group in differences.items()
        for group in (*filter(None, [MADE_FOR.get(name)]), ALL_ATTACKS)
    ]
    yield from rows(("taken away", "attacks", *measures), *body)


def _attacks(without: Row, measure: str) -> Iterator[str]:
    kinds = list(next(iter(without.values())))
    body = [
        (name, *(share(by_kind[kind][measure]) for kind in kinds))
        for name, by_kind in without.items()
    ]
    yield from rows(("taken away", *kinds), *body)


def _change(figure: Row) -> str:
    """Return a difference in points with its interval, and how many attacks it is made of."""
    if figure["value"] is None:
        return "-"
    low, high = 100 * figure["low"], 100 * figure["high"]
    counted = f"{figure['more']} more, {figure['fewer']} fewer"
    return f"{100 * figure['value']:+.1f} ({low:+.1f} to {high:+.1f}; {counted})"
