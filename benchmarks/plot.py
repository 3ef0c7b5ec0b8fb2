"""Line charts as SVG, without a plotting library: panels side by side and one legend below.

Colours follow the reader's light or dark scheme (``prefers-color-scheme``).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 46
LEGEND_LINE = 22
TICKS = 5
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; font-size: 13px; }
.frame { fill: none; stroke: #8c959f; }
.grid { stroke: #d0d7de; stroke-width: 0.6; }
.line { fill: none; stroke-width: 1.8; }
.dashed { stroke-dasharray: 6 4; }
.c0 { stroke: #bc4c00; } .c1 { stroke: #0969da; }
.c2 { stroke: #1a7f37; } .c3 { stroke: #8250df; }
.d0 { fill: #bc4c00; } .d1 { fill: #0969da; }
.d2 { fill: #1a7f37; } .d3 { fill: #8250df; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .frame { stroke: #6e7681; }
  .grid { stroke: #30363d; }
  .c0 { stroke: #ffa657; } .c1 { stroke: #79c0ff; }
  .c2 { stroke: #56d364; } .c3 { stroke: #d2a8ff; }
  .d0 { fill: #ffa657; } .d1 { fill: #79c0ff; }
  .d2 { fill: #56d364; } .d3 { fill: #d2a8ff; }
}
"""

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """Points joined by a line.

    Attributes:
        name: What the legend calls it.
        points: (x, y), in the order in which they are joined.
        colour: 0 or 1.
        dashed: Whether its line is.
        errors: Half the length of each point's error bar, in units of y; none where empty.
    """

    name: str
    points: Sequence[Point]
    colour: int = 0
    dashed: bool = False
    errors: Sequence[float] = ()


@dataclass(frozen=True)
class Panel:
    """A chart: a title, what its axes show, and its curves."""

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]


def svg(panels: Sequence[Panel]) -> str:
    """Draw panels that share their curves' names; the legend is that of the first."""
    names = panels[0].curves
    width, height = WIDTH * len(panels), HEIGHT + LEGEND_LINE * math.ceil(len(names) / 2) + 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        f"<title>{escape('; '.join(panel.title for panel in panels))}</title>",
        f"<style>{STYLE}</style>",
        *(_placed(panel, number * WIDTH) for number, panel in enumerate(panels)),
        *(_legend(curve, place, width) for place, curve in enumerate(names)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def ticks(low: float, high: float, about: int = TICKS) -> list[float]:
    """Return round numbers from ``low`` to ``high``, about so many, 1, 2 or 5 times a power of 10.

    Raises:
        ValueError: ``high`` is not above ``low``.
    """
    if high <= low:
        raise ValueError(f"an axis from {low} to {high}: expected a higher end")
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= 0.75 * rough)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


class _Axes:
    """From data to places in a panel."""

    def __init__(self, panel: Panel) -> None:
        points = [p for curve in panel.curves for p in curve.points]
        self.x = _span((p[0] for p in points), from_zero=True)
        self.y = _span((p[1] for p in points), from_zero=False)

    def place(self, point: Point) -> Point:
        """Return where a point is drawn."""
        (x0, x1), (y0, y1) = self.x, self.y
        across = (point[0] - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
        up = (point[1] - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)
        return LEFT + across, HEIGHT - BOTTOM - up


def _span(values: Iterable[float], *, from_zero: bool) -> Point:
    found = list(values)
    low, high = min(found), max(found)
    margin = 0.06 * (high - low) or 1.0
    return (min(0.0, low) if from_zero else low - margin), high + margin


def _placed(panel: Panel, left: int) -> str:
    axes = _Axes(panel)
    middle, bottom = (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8
    parts = [
        f'<g transform="translate({left} 0)">',
        f'<text class="title" x="{middle}" y="20" text-anchor="middle">'
        f"{escape(panel.title)}</text>",
        *(_tick(axes, value, across=True) for value in ticks(*axes.x)),
        *(_tick(axes, value, across=False) for value in ticks(*axes.y)),
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/>',
        f'<text x="{middle}" y="{bottom}" text-anchor="middle">{escape(panel.x_label)}</text>',
        f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(panel.y_label)}</text>',
        *(_drawn(curve, axes) for curve in panel.curves),
        "</g>",
    ]
    return "\n".join(parts)


def _tick(axes: _Axes, value: float, *, across: bool) -> str:
    text = f"{value:g}" if abs(value) > 1e-12 else "0"
    if across:
        x, _ = axes.place((value, axes.y[0]))
        line = f'x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"'
        label = f'x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle"'
    else:
        _, y = axes.place((axes.x[0], value))
        line = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"'
        label = f'x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end"'
    return f'<line class="grid" {line}/><text {label}>{text}</text>'


def _drawn(curve: Curve, axes: _Axes) -> str:
    places = [axes.place(point) for point in curve.points]
    dots = (
        f'<circle class="d{curve.colour}" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>' for x, y in places
    )
    bars = (
        _line([axes.place((x, y - e)), axes.place((x, y + e))], f"line c{curve.colour}", 0.5)
        for (x, y), e in zip(curve.points, curve.errors, strict=False)
    )
    style = f"line c{curve.colour}" + (" dashed" if curve.dashed else "")
    return "\n".join([*bars, _line(places, style), *dots])


def _dot(place: Point, curve: Curve) -> str:
    x, y = place
    return f'<circle class="d{curve.colour}" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>'


def _line(places: Sequence[Point], style: str, opacity: float = 1.0) -> str:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    faint = f' opacity="{opacity}"' if opacity < 1 else ""
    return f'<polyline class="{style}"{faint} points="{joined}"/>'


def _legend(curve: Curve, place: int, width: int) -> str:
    x = LEFT + (place % 2) * (width - LEFT) / 2
    y = HEIGHT + 10 + LEGEND_LINE * (place // 2)
    style = f"line c{curve.colour}" + (" dashed" if curve.dashed else "")
    return (
        _line([(x, y), (x + 30, y)], style)
        + _dot((x + 15, y), curve)
        + f'<text x="{x + 38}" y="{y + 4}">{escape(curve.name)}</text>'
    )
