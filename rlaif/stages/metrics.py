"""The metrics that training a policy leaves beside its weights, one a line."""

import json
from collections.abc import Iterable
from pathlib import Path

from rlaif.records import Metric

METRICS = "metrics.jsonl"


def write_metrics(folder: Path, metrics: Iterable[Metric]) -> None:
    """Write metrics into a challenger's folder."""
    lines = (json.dumps(m.model_dump(), sort_keys=True) + "\n" for m in metrics)
    (folder / METRICS).write_text("".join(lines), encoding="utf-8")


def read_metrics(folder: Path) -> list[Metric]:
    """Read the metrics that training left in the challenger's folder."""
    lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
    return [Metric.model_validate_json(line) for line in lines]
