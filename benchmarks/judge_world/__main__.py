"""The bundled judge on the bundled world, held against the oracle.

Prints JSON, and to standard error tables in Markdown, all with intervals at 95%:

- agreement with the oracle by criterion, on pairs and on ratings; verdicts that flip with the
  order; questions without a verdict; and what becomes of the pairs;
- how sure soft labels are against how right they are, as judged and calibrated on the other half;
- how often attacked answers win, with all defences, with each one taken away, and with none.

Prompts are the pool's held-out ones, answers the base policy's, two to each prompt and none
chosen; judging is production's. Run it with ``make bench-judge-world``.
"""

import argparse
import json
import sys
import time
from typing import Any

from benchmarks.judge_world.accuracy import by_criterion, by_fate, score_correlation
from benchmarks.judge_world.attacks import draw_targets, make_cases, try_cases
from benchmarks.judge_world.defences import ALL, ALL_ON, SETS, Panels
from benchmarks.judge_world.success import Judged, differences, success
from benchmarks.judge_world.sureness import labelled_pairs, sureness
from benchmarks.judge_world.tables import tables
from benchmarks.judge_world.world import World, as_labels, draw_world
from rlaif.config import RlaifConfig
from rlaif.crew import Crew
from rlaif.judges import RubricJudge, load_rubric
from rlaif.judges.probes import load_attacks
from rlaif.models.loading import load_language_model, pick_device
from rlaif.project import Project, share
from rlaif.seeds import derive_seed
from rlaif.stages.rubric_testing import said_of
from rlaif.stages.trying import try_panel

SEED = 20261129
PROMPTS, TARGETS = 386, 32
SMALL_PROMPTS, SMALL_TARGETS = 8, 1
Row = dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="at most the held-out ones")
    parser.add_argument("--targets", type=int, default=TARGETS, help="answers that are attacked")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--small", action="store_true", help="a try of seconds")
    given = parser.parse_args()
    if given.small:
        given.prompts, given.targets = SMALL_PROMPTS, SMALL_TARGETS
    found = measure(given.prompts, given.targets, given.seed)
    print(tables(found), file=sys.stderr)
    print(json.dumps(found, indent=1))


def measure(prompts: int, targets: int, seed: int) -> Row:
    """Return all figures."""
    start = time.perf_counter()
    config = RlaifConfig()
    project = Project(share("prompts").parent, config)
    crew = Crew(project, config)
    lm = load_language_model(project.resolve(config.judge.path), pick_device(config.run.device))
    panels = Panels(crew.embedder(), lm, load_rubric(project.file(config.rubric.path)), config)
    world = draw_world(project, crew, prompts, derive_seed(seed, "world"))
    found = agreement(panels.with_defences(ALL), world, config, seed)
    told(start, "judged")
    found["attacks"] = attacks(panels, world, config, targets, seed)
    told(start, "attacked")
    return {
        "prompts": len(world.prompts),
        "pairs": len(world.pairs),
        "seed": seed,
        **found,
        "questions": panels.asked,
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time(), 1),
    }


def agreement(panel: RubricJudge, world: World, config: RlaifConfig, seed: int) -> Row:
    """Return how right the judge is, and how sure."""
    labelled = as_labels(world)
    tried = try_panel(panel, labelled.rated, world.pairs)
    said = said_of(panel, tried, config.judging.score_temperature)
    return {
        "criteria": by_criterion(panel, world, labelled, tried, said),
        "score_correlation": score_correlation(world, said),
        "fates": by_fate(world, tried.verdicts, config.preferences),
        "calibration": {
            kind: sureness(pairs, derive_seed(seed, "calibration", kind))
            for kind, pairs in labelled_pairs(world, said).items()
        },
    }


def attacks(panels: Panels, world: World, config: RlaifConfig, count: int, seed: int) -> Row:
    """Return how often attacks work, by the defences that stand."""
    targets = draw_targets(world, count, derive_seed(seed, "targets"))
    rubric = panels.with_defences(ALL).rubric
    top = str(max(len(criterion.choices) for criterion in rubric.judge_criteria))
    cases = make_cases(targets, load_attacks(rubric.language), top)
    outcomes = {
        name: try_cases(panels.with_defences(defences), defences, cases, config)
        for name, defences in SETS.items()
    }
    judged = {name: Judged.of(own, config.audit.gain_margin) for name, own in outcomes.items()}
    return {
        "targets": len(targets),
        "cases": len(cases),
        "without": {name: success(own) for name, own in judged.items()},
        "differences": differences(judged, ALL_ON, derive_seed(seed, "targets drawn anew")),
    }


def told(start: float, what: str) -> None:
    """Say what is done, and how long it took since the start."""
    print(f"{what} after {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
