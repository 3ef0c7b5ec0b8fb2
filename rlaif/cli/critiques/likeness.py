"""``rlaif critiques --like``: critiques that mean something alike."""

from itertools import islice

import numpy as np

from rlaif.cli.critiques.vectors import CritiqueVectors, Encoder, cosines
from rlaif.cli.output import stderr
from rlaif.crew import Crew
from rlaif.ledger.critique_reads import Asked, CritiqueReads
from rlaif.project import Project

PROBED = 200


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

    The best few are asked one by one whether they match; only where that is not enough, all that
    match are gone through.

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
    best = _best(found, max(PROBED, limit))
    if prompt_or_id is None and all(value is None or value is False for value in asked.values()):
        return [(int(seqs[i]), float(found[i])) for i in best[:limit]]
    chosen = reads.critiques_among([int(seqs[i]) for i in best], prompt_or_id, **asked)
    matching = [i for i in best if int(seqs[i]) in chosen]
    if len(matching) < limit and len(best) < len(seqs):
        all_of = np.fromiter(reads.critique_seqs(prompt_or_id, **asked), np.int64)
        among = np.flatnonzero(np.isin(seqs, all_of))
        matching = among[_best(found[among], limit)].tolist()
    return [(int(seqs[i]), float(found[i])) for i in islice(matching, limit)]


def _best(scores: np.ndarray, count: int) -> list[int]:
    """Return the places of the highest scores, best first; of equal ones the newest first."""
    count = min(count, len(scores))
    if not count:
        return []
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    places = np.flatnonzero(scores >= least)
    order = np.lexsort((-places, -scores[places]))
    return [int(i) for i in places[order][:count]]
