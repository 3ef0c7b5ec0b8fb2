"""The arithmetic of the over-optimisation benchmark, and what its plots are made of."""

import math
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import overoptimisation
    finally:
        sys.path.remove(str(BENCHMARKS))
    return overoptimisation


@pytest.fixture(scope="module")
def plot(benchmark: ModuleType) -> ModuleType:
    return sys.modules[benchmark.Panel.__module__]


def measured(benchmark: ModuleType, kl: float, oracle: float) -> object:
    return benchmark.Measured(0, kl, 0.1, 1.0, 0.1, 0.0, oracle, 0.1, 0.5)


def test_the_fit_finds_planted_constants_and_the_peak(benchmark: ModuleType) -> None:
    a, b, base, unit = 1.3, 0.6, 0.7, 0.25
    curve = [measured(benchmark, 0.0, base)]
    for d in (0.5, 1.0, 2.0, 3.0, 5.0):
        gain = d * (a - b * math.log(d))
        curve.append(measured(benchmark, d * d, base + unit * gain))
    fit = benchmark.fitted(curve, unit)
    assert (fit["a"], fit["b"], fit["r2"]) == pytest.approx((a, b, 1.0), abs=1e-3)
    at = fit["peak_sqrt_kl"]
    height = at * (a - b * math.log(at))
    assert fit["peak_gain"] == pytest.approx(height, abs=5e-3)
    assert all(x * (a - b * math.log(x)) < height for x in (0.9 * at, 1.1 * at))


def test_a_curve_that_only_rises_has_no_peak(benchmark: ModuleType) -> None:
    curve = [measured(benchmark, 0.0, 0.0)]
    curve += [measured(benchmark, d * d, d * (1 + 0.2 * math.log(d))) for d in (1.0, 2.0, 4.0)]
    fit = benchmark.fitted(curve, 1.0)
    assert fit["b"] == pytest.approx(-0.2, abs=1e-3)
    assert (fit["peak_sqrt_kl"], fit["peak_gain"]) == (None, None)


def test_a_peak_beyond_what_was_measured_is_not_told(benchmark: ModuleType) -> None:
    """R(d) = d (1.3 - 0.6 log d) peaks at 3.2."""
    curve = [measured(benchmark, 0.0, 0.0)]
    curve += [measured(benchmark, d * d, d * (1.3 - 0.6 * math.log(d))) for d in (0.5, 1.0, 2.0)]
    fit = benchmark.fitted(curve, 1.0)
    assert fit["b"] == pytest.approx(0.6, abs=1e-3)
    assert (fit["peak_sqrt_kl"], fit["peak_gain"]) == (None, None)


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_ticks_are_round_evenly_spaced_and_inside(
    plot: ModuleType, low: float, width: float
) -> None:
    found = plot.ticks(low, low + width)
    assert 2 <= len(found) <= 7
    assert low - 1e-6 * width <= found[0]
    assert found[-1] <= low + width * (1 + 1e-6)
    step = found[1] - found[0]
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-6)
    assert min(abs(mantissa - m) for m in (1, 2, 5)) < 1e-3


def test_an_axis_without_length_has_no_ticks(plot: ModuleType) -> None:
    with pytest.raises(ValueError, match="expected a higher end"):
        plot.ticks(1.0, 1.0)


def test_a_plot_is_valid_and_holds_every_point_inside_its_frame(plot: ModuleType) -> None:
    curves = [
        plot.Curve("one & only", [(0.0, 1.0), (1.0, -2.0), (2.0, 3.0)], errors=[0.1, 0.1, 0.1]),
        plot.Curve("two", [(0.5, 0.0), (2.5, 1.0)], colour=1, dashed=True),
    ]
    text = plot.svg([plot.Panel("Left", "x", "y", curves), plot.Panel("Right", "x", "z", curves)])
    root = ET.fromstring(text)  # noqa: S314 - our own text
    assert "prefers-color-scheme: dark" in text
    assert {t.text for t in root.iter(f"{SVG}text")} >= {"Left", "Right", "one & only", "two", "z"}
    panels = root.findall(f"{SVG}g")
    assert len(panels) == 2
    for panel in panels:
        dots = panel.findall(f"{SVG}circle")
        assert len(dots) == 5
        for dot in dots:
            assert plot.LEFT <= float(dot.get("cx", "nan")) <= plot.WIDTH - plot.RIGHT
            assert plot.TOP <= float(dot.get("cy", "nan")) <= plot.HEIGHT - plot.BOTTOM
    first = panels[0].findall(f"{SVG}circle")[:3]
    heights = [float(dot.get("cy", "nan")) for dot in first]
    assert heights[2] < heights[0] < heights[1]
