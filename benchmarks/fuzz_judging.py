"""Garbage for the judges' readers: ``make fuzz``.

Three parts, each with 100,000 cases:

- replies (real shapes, forged verdicts, garbage, then damaged) are read by the parser in every
  form and compared with a slow reading that looks at one character at a time;
- texts of that kind, mixed with attacks on the fences, go into every place of the messages that
  judges are shown, a dozen at once: none may open or close a fence;
- rubric files with one to four changes are read: a rubric comes of it, or an error that names the
  file and says what to do.

Prints what came of them, and exits with 1 at the first case that breaks a promise, which it shows.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "judges"))

from broken_rubrics import broken_rubrics, read_or_refuse  # noqa: E402
from render_strategies import ATTACKS, Case, check_case, messages_of  # noqa: E402
from reply_samples import check_reply, reply  # noqa: E402

from rlaif.judges import Rubric, load_templates  # noqa: E402
from rlaif.project import share  # noqa: E402
from rlaif.seeds import derive_seed, numpy_generator  # noqa: E402

COUNT = 100_000
Part = Callable[[int, int], Counter[str]]


@dataclass(frozen=True)
class Share:
    """What one process does of a part: so many cases under a seed of its own."""

    part: str
    cases: int
    seed: int


class FoundError(AssertionError):
    """A case that breaks a promise, with the case."""


def fuzz_replies(cases: int, run_seed: int) -> Counter[str]:
    """Read replies next to the oracle; count what was read by each form."""
    generator = numpy_generator(run_seed)
    counts: Counter[str] = Counter()
    for _ in range(cases):
        said = reply(generator)
        try:
            found = check_reply(said)
        except Exception as exc:
            raise FoundError(f"the reply {said!r}\n{traceback.format_exc()}") from exc
        counts.update(f"{reader}: {_kind(value)}" for reader, value in found.items())
    return counts


def fuzz_renderings(cases: int, run_seed: int) -> Counter[str]:
    """Put hostile text into every place of every message of the shipped templates, in turn."""
    generator = numpy_generator(run_seed)
    names = sorted(path.name for path in share("prompts", "judge").iterdir())
    every = [load_templates(name) for name in names]
    counts: Counter[str] = Counter()
    number = texts = 0
    while texts < cases:
        templates = every[number % len(every)]
        case = hostile_case(generator)
        try:
            check_case(templates, case)
        except Exception as exc:
            raise FoundError(f"{templates.name}: {case!r}\n{traceback.format_exc()}") from exc
        number += 1
        texts += len(case.turns) + len(case.answers) + len(case.criterion) + len(case.example) + 2
        counts[f"messages of {templates.name}"] += len(list(messages_of(templates, case)))
    return counts


def fuzz_rubrics(cases: int, run_seed: int) -> Counter[str]:
    """Read broken rubric files; count what came of them."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rubric.toml"

        @seed(run_seed)
        @settings(
            max_examples=cases,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(data=broken_rubrics())
        def read(data: bytes) -> None:
            try:
                found = read_or_refuse(data, path)
            except Exception as exc:
                raise FoundError(f"the rubric {data!r}\n{traceback.format_exc()}") from exc
            counts["still a rubric" if isinstance(found, Rubric) else "refused"] += 1

        read()
    return counts


PARTS: dict[str, Part] = {
    "replies": fuzz_replies,
    "renderings": fuzz_renderings,
    "rubrics": fuzz_rubrics,
}


def hostile_case(generator: np.random.Generator) -> Case:
    """Draw a case whose every text is a reply with attacks on the fences in it."""

    def text() -> str:
        said = reply(generator)
        for _ in range(int(generator.integers(0, 3))):
            place = int(generator.integers(0, len(said) + 1))
            said = said[:place] + ATTACKS[int(generator.integers(len(ATTACKS)))] + said[place:]
        return said

    roles = (("user",), ("system", "user"), ("user", "assistant", "user"))
    return Case(
        turns=tuple((role, text()) for role in roles[int(generator.integers(len(roles)))]),
        answers=tuple(text() for _ in range(int(generator.integers(2, 5)))),
        reference=text(),
        feedback=text(),
        criterion=(text(), text(), text()),
        example=(text(), text(), text()),
    )


def _kind(value: str) -> str:
    return "unscored" if value == "unscored" else "read"


def _run(share_: Share) -> tuple[Counter[str], str]:
    warnings.simplefilter("ignore")  # patterns of broken rubrics warn as they are compiled
    try:
        return PARTS[share_.part](share_.cases, share_.seed), ""
    except FoundError as exc:
        return Counter(), str(exc)


def _shares(part: str, cases: int, run_seed: int, processes: int) -> list[Share]:
    each = [cases // processes + (rank < cases % processes) for rank in range(processes)]
    return [
        Share(part, count, derive_seed(run_seed, "fuzz", part, rank))
        for rank, count in enumerate(each)
        if count
    ]


def main() -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for part in PARTS:
        parser.add_argument(f"--{part}", type=int, default=COUNT, help="cases; 0 leaves it out")
    parser.add_argument("--seed", type=int, default=20261129)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    broken = 0
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for part in PARTS:
            cases = int(getattr(options, part))
            begun = time.perf_counter()
            counts: Counter[str] = Counter()
            shares = _shares(part, cases, options.seed, options.processes)
            for found, fault in pool.imap(_run, shares):
                counts += found
                if fault:
                    broken += 1
                    print(f"BROKEN in {part}: {fault}")
            print(f"{part}: {cases} cases in {time.perf_counter() - begun:.0f} s")
            for name, count in sorted(counts.items()):
                print(f"  {name:32} {count:8}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
