"""Faults in what people say: labels, drift by them; and in revisions and lists, which make pairs too."""

FAULTS = {
    "a-silent-judge-has-not-drifted": (
        "rlaif/stages/drift.py",
        "            if name in before.by_label\n",
        "            if name in before.by_label and value is not None\n",
    ),
    "a-fall-that-may-be-chance-is-drift": (
        "rlaif/stages/drift.py",
        "found=estimate.high < -max_drift",
        "found=estimate.value < -max_drift",
    ),
    "labels-of-a-prompt-vary-alone": (
        "rlaif/stages/drift.py",
        "[prompt_of[name] for name in changes]",
        "list(changes)",
    ),
    "each-cycle-at-the-full-level": (
        "rlaif/stages/drift.py",
        "1.0 - (1.0 - CONFIDENCE) / len(telling)",
        "CONFIDENCE",
    ),
    "all-labels-measure": (
        "rlaif/stages/drift.py",
        "if label.frozen and label.id in said]",
        "if label.id in said]",
    ),
    "a-side-half-agrees-with-a-tie": (
        "rlaif/stages/drift.py",
        "return 1.0 - 2.0 * abs(said - 0.5)",
        "return 1.0 - abs(said - 0.5)",
    ),
    "a-changed-rubric-is-drift": (
        "rlaif/stages/drift_reference.py",
        "if earlier[cycle].rubric_hash == rubric_hash]",
        "if earlier[cycle].rubric_hash]",
    ),
    "acceptance-changes-nothing": (
        "rlaif/stages/drift_reference.py",
        "begin = 0 if accepted is None else accepted.cycle",
        "begin = 0",
    ),
    "acceptance-hides-the-next-fall": (
        "rlaif/stages/drift_reference.py",
        "if cycle >= begin]",
        "if cycle > begin]",
    ),
    "the-least-fall-counts": (
        "rlaif/stages/drift.py",
        "surest = min(telling,",
        "surest = max(telling,",
    ),
    "the-lowest-mean-hides-a-sure-fall": (
        "rlaif/stages/drift.py",
        "(estimates[cycle].high, cycle)",
        "(estimates[cycle].value, cycle)",
    ),
    "cycles-of-few-prompts-tell": (
        "rlaif/stages/drift.py",
        "if prompts[cycle] >= FEWEST_PROMPTS]",
        "if prompts[cycle] >= 2]",
    ),
    "the-heavier-rating-weighs": (
        "rlaif/stages/human_pairs.py",
        "weight=min(first.weight, second.weight),",
        "weight=max(first.weight, second.weight),",
    ),
    "raters-share-a-scale": (
        "rlaif/stages/human_pairs.py",
        "rated.setdefault((label.prompt_id, label.rater), [])",
        'rated.setdefault((label.prompt_id, ""), [])',
    ),
    "a-criterions-ratings-are-on-the-whole": (
        "rlaif/stages/human_pairs.py",
        "if label.second_id is None and not label.criterion and label.rater:",
        "if label.second_id is None and label.rater:",
    ),
    "implied-pairs-thaw": (
        "rlaif/stages/human_pairs.py",
        "frozen=first.frozen,",
        "frozen=False,",
    ),
    "ratings-of-nobody-are-one-persons": (
        "rlaif/stages/human_pairs.py",
        "if label.second_id is None and not label.criterion and label.rater:",
        "if label.second_id is None and not label.criterion:",
    ),
    "the-first-word-counts": (
        "rlaif/stages/last_words.py",
        "last = {_thing(label): label.id for label in found}",
        "last = {_thing(label): label.id for label in reversed(found)}",
    ),
    "a-cycle-hears-words-taken-back": (
        "rlaif/cycle/calibrating.py",
        "for x in last_words(ctx.ledger.human_labels())",
        "for x in ctx.ledger.human_labels()",
    ),
    "attacked-words-are-found-again": (
        "rlaif/feedback.py",
        "for c in reversed(said) if not _attacked(c)}",
        "for c in reversed(said)}",
    ),
    "a-rating-against-itself": (
        "rlaif/stages/human_pairs.py",
        "if both[0].first_id != both[1].first_id\n",
        "if both[0].id != both[1].id\n",
    ),
    "no-order-is-a-mirror": (
        "rlaif/stages/ranked_lists.py",
        "found += [order, order[::-1]]",
        "found.append(order)",
    ),
    "duplicates-are-ranked": (
        "rlaif/stages/ranked_lists.py",
        "if completion.duplicate_of is None and score is not None",
        "if score is not None",
    ),
    "a-list-of-extremes-alone": (
        "rlaif/stages/ranked_lists.py",
        "min(abs(levels[i] - levels[j]) for j in taken)",
        "max(abs(levels[i] - levels[j]) for j in taken)",
    ),
    "the-best-answer-is-mended": (
        "rlaif/stages/revision.py",
        "completions[min(scored)[1]]",
        "completions[max(scored)[1]]",
    ),
    "one-order-confirms-a-revision": (
        "rlaif/stages/revision.py",
        "if min(found.values()) >= least:",
        "if max(found.values()) >= least:",
    ),
    "the-least-fault-is-drawn-most": (
        "rlaif/stages/revision.py",
        "lacking = [1.0 - _score(judgement) for judgement in shown]",
        "lacking = [0.01 + _score(judgement) for judgement in shown]",
    ),
    "a-quarantined-verdict-confirms": (
        "rlaif/stages/revision.py",
        "    if verdict.quarantined is not None:\n",
        "    if verdict.quarantined is not None and verdict.p_forward is None:\n",
    ),
    "half-of-the-margin-will-do": (
        "rlaif/stages/revision.py",
        "least = 0.5 + min_margin",
        "least = 0.5 + min_margin / 2.0",
    ),
    "faults-of-any-judge": (
        "rlaif/stages/revision.py",
        "if not rated or judgement.judge != judge or not judgement.critique.strip():",
        "if not rated or not judgement.critique.strip():",
    ),
    "answers-at-the-limit-are-too-long": (
        "rlaif/stages/revision.py",
        "    if length > most:\n",
        "    if length >= most:\n",
    ),
}
