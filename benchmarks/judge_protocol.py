"""What a setting of the protocol does to a small judge's verdicts: ``make bench-judge-protocol``.

The judge is SmolLM2-135M-Instruct, loaded as any local judge (``make small-judge``); what is judged
are LLMBar's pairs (Zeng et al. 2023), whose better answer people agreed on. Production judges
them by the first criterion of the shipped rubric ``helpful``, in both orders, under every template
for such models, with a critique before the verdict and without.

For each way: how often the better answer wins when it is shown first, when it is shown second,
and by both orders averaged; how often both orders agree, and which place wins where they do not;
replies whose labels hold less probability than rlaif asks for (they count in the rest here);
tokens and seconds. All shares have 95% intervals. Prints JSON, and tables in Markdown to standard
error.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from llmbar import DATA, SUBSETS

from rlaif.config import JudgeConfig, JudgingConfig
from rlaif.judges import Juror, RubricJudge, TransformersJudge, load_rubric, load_templates
from rlaif.judges.agreement import OrderedPair, Proportion, order_figures, proportion
from rlaif.judges.panel import ComparedItem
from rlaif.models.loading import LanguageModel, load_language_model
from rlaif.records import Completion, Judgement, Message, Prompt
from rlaif.stages.trying import timed

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / ".small-judge" / "smollm2-135m-instruct"
NATURAL, ADVERSARIAL = 60, 15
BATCH = 12

Row = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """How the judge is asked."""

    template: str
    critique: bool

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.template}, {'critique first' if self.critique else 'verdict alone'}"


WAYS = tuple(Way(t, c) for t in ("brief", "detailed") for c in (False, True))


@dataclass(frozen=True)
class Item:
    """A pair, its better answer first."""

    subset: str
    pair: ComparedItem


def read_items(natural: int, adversarial: int) -> list[Item]:
    """Return the first pairs of each subset."""
    found = []
    for name, folder in SUBSETS.items():
        rows = json.loads((DATA / folder / "dataset.json").read_text(encoding="utf-8"))
        for number, row in enumerate(rows[: natural if name == "Natural" else adversarial]):
            found.append(Item(name, _pair(f"{name}-{number}", row)))
    return found


def _pair(name: str, row: Row) -> ComparedItem:
    better, worse = (row["output_1"], row["output_2"])[:: 1 if row["label"] == 1 else -1]
    asked = Prompt(id=name, messages=(Message(role="user", content=row["input"]),), split="eval")
    first, second = (
        Completion(
            id=f"{name}-{place}",
            prompt_id=name,
            policy="llmbar",
            index=place,
            text=text,
            length=len(text),
            ended=True,
        )
        for place, text in enumerate((better, worse))
    )
    return asked, first, second


def panel_of(lm: LanguageModel, way: Way) -> RubricJudge:
    """Return the criterion with one judge, as a run makes it."""
    config = JudgeConfig(
        template=way.template, critique=way.critique, batch_size=BATCH, min_label_mass=0.0
    )
    rubric = load_rubric(ROOT / "prompts" / "rubrics" / "helpful.toml")
    return RubricJudge(
        rubric.model_copy(update={"criteria": rubric.judge_criteria[:1]}),
        judging=JudgingConfig(),
        jury=[
            Juror(
                "small",
                TransformersJudge(lm, config),
                load_templates(way.template),
                config.min_label_mass,
                critique=way.critique,
            )
        ],
    )


def measured(lm: LanguageModel, way: Way, items: Sequence[Item]) -> Row:
    """Let the judge judge all items one way."""
    start = time.process_time()
    panel = panel_of(lm, way)
    pairs = [item.pair for item in items]
    judged, cost = timed(panel.compare, pairs)
    orders = [
        next(iter(own.values()), OrderedPair(None, None)) for own in panel.orders(pairs, judged)
    ]
    groups: dict[str, list[int]] = {"Natural": [], "Adversarial": []}
    for place, item in enumerate(items):
        groups["Natural" if item.subset == "Natural" else "Adversarial"].append(place)
    return {
        "way": way.name,
        "cpu_seconds": round(time.process_time() - start, 1),
        "tokens_a_question": round(cost.prompt_tokens / (2 * len(items))),
        "enough label mass": masses(judged),
        **{name: figures([orders[i] for i in own]) for name, own in groups.items() if own},
    }


def figures(pairs: Sequence[OrderedPair]) -> Row:
    """Return what is said of some pairs; the better answer is the first of each."""
    order = order_figures(pairs)
    return {
        "pairs": len(pairs),
        "right, shown first": shown(proportion([wins(pair.forward) for pair in pairs])),
        "right, shown second": shown(proportion([wins(pair.backward) for pair in pairs])),
        "right, both orders": shown(proportion([wins(pair.mean) for pair in pairs])),
        "consistent": shown(order.consistent),
        "first place wins": shown(order.first_position),
    }


def wins(p: float | None) -> bool | None:
    """Tell whether the better answer wins; None where there is no verdict."""
    return None if p is None or p == 0.5 else p > 0.5


def masses(judged: Sequence[Sequence[Judgement]]) -> Row:
    """Return in how many comparisons the labels hold as much probability as rlaif asks for."""
    least = JudgeConfig().min_label_mass
    calls = [j.call for own in judged for j in own if j.call is not None]
    return shown(proportion([sum(call.label_probs.values()) >= least for call in calls]))


def shown(found: Proportion) -> Row:
    """Return a share as JSON values."""
    return {
        "rate": found.rate,
        "low": found.low,
        "high": found.high,
        "of": found.count,
        "without": found.unscored,
    }


def tables(rows: Sequence[Row]) -> str:
    """Return tables in Markdown."""
    lines = []
    for group in ("Natural", "Adversarial"):
        names = [name for name in rows[0].get(group, {}) if name != "pairs"]
        if names:
            lines += [f"| {group} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
            for row in rows:
                cells = (cell(row[group][name]) for name in names)
                lines.append(f"| {row['way']} | {' | '.join(cells)} |")
            lines.append("")
    lines += ["| way | enough label mass | tokens a question | CPU seconds |", "|---|---|---|---|"]
    for row in rows:
        mass = cell(row["enough label mass"])
        cost = f"{row['tokens_a_question']} | {row['cpu_seconds']:.0f}"
        lines.append(f"| {row['way']} | {mass} | {cost} |")
    return "\n".join(lines)


def cell(share: Row) -> str:
    """Return a share as a cell of a table."""
    if share["rate"] is None:
        return "-"
    low, high = 100 * share["low"], 100 * share["high"]
    return f"{100 * share['rate']:.0f} ({low:.0f} to {high:.0f})"


def main() -> None:
    """Measure every way and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--natural", type=int, default=NATURAL, help="pairs of Natural, at most")
    parser.add_argument(
        "--adversarial", type=int, default=ADVERSARIAL, help="pairs of each other subset, at most"
    )
    given = parser.parse_args()
    for path, wanted in ((MODEL, "make small-judge"), (DATA, "LLMBar beside the repository")):
        if not path.is_dir():
            parser.error(f"{path} is missing: {wanted}")
    lm = load_language_model(str(MODEL), torch.device("cpu"))
    items = read_items(given.natural, given.adversarial)
    rows = []
    for way in WAYS:
        rows.append(measured(lm, way, items))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(tables(rows), file=sys.stderr)
    about = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
        "pairs": len(items),
    }
    print(json.dumps({"about": about, "ways": rows}, indent=1))


if __name__ == "__main__":
    main()
