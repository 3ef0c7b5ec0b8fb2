"""Which rubric a cycle judges by: the owner's file as it is now, or as it was.

An edited file is taken up by the next cycle. A cycle under way ends under the rubric that it began
to judge with, and a file that no cycle could judge by is refused with the reason: both go on with
the text that the ledger keeps.
"""

from pathlib import Path

from rlaif.artifacts import write_atomically
from rlaif.config import RlaifConfig
from rlaif.cycle.preflight import check_rubric
from rlaif.cycle.telling import tell_once
from rlaif.errors import ConfigError, RubricError
from rlaif.judges.rubric import asks_the_same
from rlaif.ledger.rows import CycleRow
from rlaif.ledger.writer import Ledger
from rlaif.progress import Watcher
from rlaif.project import Project

REFUSED, KEPT = "rubric-refused", "rubric-kept"


def rubric_file(
    project: Project, ledger: Ledger, config: RlaifConfig, known: CycleRow | None, watcher: Watcher
) -> Path:
    """Return the file that a cycle reads its rubric from.

    Args:
        project: The project.
        ledger: Keeps the texts of the rubrics that were used.
        config: The settings of the cycle, which name the file.
        known: The cycle, where it has begun; None for a new one.
        watcher: Told where the file is not what is used.

    Returns:
        The owner's file, or a copy under ``state/rubrics`` of the text that was used before.

    Raises:
        ConfigError: No cycle could judge by the file, nor by one that was used before.
    """
    path = project.file(config.rubric.path)
    if known is not None and ledger.done_units(known.number, "judging"):
        return _as_begun(project, ledger, path, known, watcher)
    wrong, last = _wrong_with(project, config, path), ledger.latest_cycle()
    if wrong is None:
        return path
    if last is None:
        raise wrong
    before = _copy(project, ledger, last)
    if _wrong_with(project, config, before) is not None:  # the edit is not to blame
        raise wrong
    message = f"the rubric is refused, the one before stays in use: {wrong.args[0]}"
    tell_once(ledger, watcher, REFUSED, message, last.number)
    return before


def _wrong_with(project: Project, config: RlaifConfig, path: Path) -> ConfigError | None:
    """Return why no cycle could judge by a file, None where nothing shows without a model."""
    try:
        check_rubric(project, config, path)
    except ConfigError as exc:
        return exc
    return None


def _as_begun(
    project: Project, ledger: Ledger, path: Path, known: CycleRow, watcher: Watcher
) -> Path:
    """Return the file for a cycle that has judged: the owner's while it asks the same."""
    row = ledger.rubric(known.rubric_hash, known.number)
    if row is None or asks_the_same(path, row.text):
        return path
    message = (
        f"{path.name} was changed: cycle {known.number} ends under the rubric that it began with, "
        "the next one takes the change up"
    )
    tell_once(ledger, watcher, KEPT, message, known.number)
    return _copy(project, ledger, known)


def _copy(project: Project, ledger: Ledger, cycle: CycleRow) -> Path:
    """Write the text of a cycle's rubric, word for word; named by its hash, it asks the same."""
    row = ledger.rubric(cycle.rubric_hash, cycle.number)
    if row is None:
        raise RubricError(
            f"the ledger does not hold the rubric {cycle.rubric_hash[:12]}",
            "the text of each rubric that was used",
            "put the rubric's file back as it was",
        )
    path = project.root / "state" / "rubrics" / f"{row.hash[:16]}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, row.text)
    return path
