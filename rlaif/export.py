"""Taking things out of a project: preferences in TRL's format, policies as folders."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rlaif.artifacts import MANIFEST, landing, model_folder_digest, sync_folder
from rlaif.errors import ArtifactError, UsageError
from rlaif.ledger.reads import LedgerReads
from rlaif.ledger.rows import PolicyRow
from rlaif.models.identity import is_adapter
from rlaif.records import Message, Preference, Record


class PreferenceRow(Record):
    """A preference in TRL's conversational format, with where it came from.

    ``label`` is the soft label P(chosen is better), at least 0.5; ``margin`` is P(chosen is
    better) - P(rejected is better), from 0 for a tie to 1. TRL's reward trainer subtracts a
    column of that name from the difference of rewards; drop the column to train without. ``weight``
    is what the pair's loss is multiplied by.
    """

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    label: float
    margin: float
    id: str
    prompt_id: str
    chosen_id: str
    rejected_id: str
    cycle: int
    split: str
    origin: str
    rubric_hash: str
    weight: float


def preference_rows(reads: LedgerReads, cycle: int | None = None) -> Iterator[PreferenceRow]:
    """Yield preferences, oldest cycle first.

    Args:
        reads: The ledger.
        cycle: Only those of this cycle.

    Raises:
        UsageError: There is no such cycle.
    """
    numbers = [c.number for c in reads.cycles()]
    if cycle is not None and cycle not in numbers:
        raise UsageError(
            f"there is no cycle {cycle}",
            f"one of: {', '.join(map(str, numbers)) or 'none yet'}",
            "see 'rlaif report'",
        )
    return _rows_of(reads, numbers if cycle is None else [cycle])


def write_jsonl(rows: Iterable[PreferenceRow], path: Path) -> int:
    """Write rows as JSON lines; the file lands whole or not at all.

    Returns:
        How many rows there were.
    """
    count = 0
    with _landing_file(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as stream:
        for count, row in enumerate(rows, start=1):  # noqa: B007 - the last number is the count
            stream.write(json_line(row) + "\n")
    return count


def write_parquet(rows: Iterable[PreferenceRow], path: Path) -> int:
    """Write rows as a Parquet file, which ``datasets.load_dataset("parquet", ...)`` reads.

    Returns:
        How many rows there were.
    """
    import pyarrow as pa  # type: ignore[import-untyped] # it ships no types
    import pyarrow.parquet as pq  # type: ignore[import-untyped] # likewise

    schema = _arrow_schema(pa)
    table = pa.Table.from_pylist([row.model_dump() for row in rows], schema=schema)
    with _landing_file(path) as aside:
        pq.write_table(table, aside)
    return int(table.num_rows)


def json_line(row: PreferenceRow) -> str:
    """Return a row as one line of JSON."""
    return json.dumps(row.model_dump(mode="json"), ensure_ascii=False)


def export_policy(policy: PolicyRow, source: Path, target: Path, *, merged: bool = False) -> None:
    """Copy a policy's folder to a new place, after checking that it is what the ledger vouches for.

    Args:
        policy: Its row in the ledger.
        source: Where it lies.
        target: Where the copy is to be: a folder that does not exist, or an empty one.
        merged: Write plain weights where the policy is an adapter.

    Raises:
        ArtifactError: The folder is missing, or its bytes are not those of the ledger.
        ModelError: The base of an adapter is not to be found.
        UsageError: There is something at ``target`` already.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(
            f"{target} exists already", "a new or an empty folder", "name another folder"
        )
    check_policy(policy, source)
    with landing(target) as folder:
        for path in sorted(p for p in source.rglob("*") if p.is_file() and p.name != MANIFEST):
            copy = folder / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        if is_adapter(str(source)):
            _settle(source, folder, merged=merged)


def _settle(source: Path, copy: Path, *, merged: bool) -> None:
    """Make a copied adapter whole, or let it say where its base lies."""
    # PEFT takes a second to import, which nobody should pay who has no adapter.
    from rlaif.models import adapters

    if not merged:
        adapters.point_to_base(source, copy)
        return
    for name in adapters.FILES:
        (copy / name).unlink(missing_ok=True)
    adapters.write_merged(source, copy)


def check_policy(policy: PolicyRow, folder: Path) -> None:
    """Check a policy's folder against the digest in the ledger.

    Raises:
        ArtifactError: The folder is missing, or its bytes are others.
    """
    if not folder.is_dir():
        raise ArtifactError(
            f"policy {policy.version} should lie in {folder}, and there is no such folder",
            "the folder that the ledger vouches for",
            "restore it from a backup; a policy that came from a hub is fetched by its own tools",
        )
    digest = model_folder_digest(folder)
    if digest != policy.digest:
        raise ArtifactError(
            f"{folder} has digest {digest[:12]}",
            f"{policy.digest[:12]}, which the ledger vouches for",
            "restore the folder from a backup, or promote another policy",
        )


def _rows_of(reads: LedgerReads, cycles: Iterable[int]) -> Iterator[PreferenceRow]:
    for cycle in cycles:
        found = reads.preferences(cycle=cycle)
        prompts = {p.id: p for p in reads.prompts(sorted({p.prompt_id for p in found}))}
        answers = {
            c.id: c.text
            for c in reads.completions_by_id(
                sorted({i for p in found for i in (p.first_id, p.second_id)})
            )
        }
        for preference in found:
            yield _row(preference, prompts[preference.prompt_id].messages, answers, cycle)


def _row(
    preference: Preference, prompt: tuple[Message, ...], answers: dict[str, str], cycle: int
) -> PreferenceRow:
    chosen, rejected, label = preference.first_id, preference.second_id, preference.label
    if label < 0.5:
        chosen, rejected, label = rejected, chosen, 1.0 - label
    return PreferenceRow(
        prompt=prompt,
        chosen=(Message(role="assistant", content=answers[chosen]),),
        rejected=(Message(role="assistant", content=answers[rejected]),),
        label=label,
        margin=2.0 * label - 1.0,
        id=preference.id,
        prompt_id=preference.prompt_id,
        chosen_id=chosen,
        rejected_id=rejected,
        cycle=cycle,
        split=preference.split,
        origin=preference.origin,
        rubric_hash=preference.rubric_hash,
        weight=preference.weight,
    )


def _arrow_schema(pa: Any) -> Any:  # noqa: ANN401 - pyarrow is imported late and has no types
    turns = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    types = {"prompt": turns, "chosen": turns, "rejected": turns}
    types |= {"label": pa.float64(), "margin": pa.float64(), "weight": pa.float64()}
    types |= {"cycle": pa.int64()}
    return pa.schema([(n, types.get(n, pa.string())) for n in PreferenceRow.model_fields])


@contextmanager
def _landing_file(path: Path) -> Iterator[Path]:
    """Let a file land whole: written aside, synced, renamed."""
    aside = path.with_name(f".{path.name}.writing")
    try:
        yield aside
        descriptor = os.open(aside, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        aside.replace(path)
        sync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)
