"""``rlaif critiques --like``: critiques that mean something alike."""

from collections.abc import Sequence
from itertools import chain, islice

import numpy as np

from rlaif.cli.critiques.vectors import CritiqueVectors, Encoder, Floats, Numbers, cosines
from rlaif.cli.output import stderr
from rlaif.crew import Crew
from rlaif.ledger.critique_reads import Asked, CritiqueReads
from rlaif.project import Project

PROBED = 200
FEW = 20_000


def opened_vectors(project: Project, reads: CritiqueReads) -> tuple[CritiqueVectors, Encoder]:
    """Load the project's embedder and embed what it has not embedded yet."""
    embedder = Crew(project, project.config).embedder()
    vectors = CritiqueVectors(project.ledger_path.parent, embedder)
    with stderr().status("embedding critiques") as status:
        vectors.fill(reads, lambda done, of: status.update(f"embedding critiques: {done} of {of}"))
    return vectors, embedder


def critiques_alike(
    reads: CritiqueReads,
    vectors: CritiqueVectors,
    encoder: Encoder,
    like: str,
    limit: int,
    prompt_or_id: str | None,
    asked: Asked,
) -> list[tuple[int, float]]:
    """Return the numbers of the critiques most alike, with their cosines, best first.

    Where few match, all of these are gone through. Where many do, the most alike of all are asked
    one by one whether they match, which is as a rule enough.

    Args:
        reads: The ledger.
        vectors: The critiques' vectors, filled.
        encoder: What made them.
        like: Words that mean what is looked for.
        limit: How many at most.
        prompt_or_id: As for :meth:`CritiqueReads.critiques`.
        asked: What is asked of critiques besides.
    """
    seqs, rows = vectors.load()
    if not len(seqs):
        return []
    found = cosines(rows, encoder.encode([like])[0])
    if prompt_or_id is None and all(value is None or value is False for value in asked.values()):
        return _told(seqs, found, _best(found, limit))
    matching = reads.critique_seqs(prompt_or_id, **asked)
    known = list(islice(matching, FEW))
    if len(known) == FEW:
        best = _best(found, max(PROBED, limit))
        chosen = reads.critiques_among([int(seqs[i]) for i in best], prompt_or_id, **asked)
        probed = [i for i in best if int(seqs[i]) in chosen]
        if len(probed) >= limit:
            return _told(seqs, found, probed[:limit])
    among = np.flatnonzero(np.isin(seqs, np.fromiter(chain(known, matching), np.int64)))
    return _told(seqs, found, among[_best(found[among], limit)].tolist())


def _told(seqs: Numbers, found: Floats, places: Sequence[int]) -> list[tuple[int, float]]:
    return [(int(seqs[i]), float(found[i])) for i in places]


def _best(scores: np.ndarray, count: int) -> list[int]:
    """Return the places of the highest scores, best first; of equal ones the newest first."""
    count = min(count, len(scores))
    if not count:
        return []
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    places = np.flatnonzero(scores >= least)
    order = np.lexsort((-places, -scores[places]))
    return [int(i) for i in places[order][:count]]
