"""Faults in what makes a judge one to be trusted: fences, probes, audits, humans' labels, revisions."""

FAULTS = {
    "log-odds-times-the-temperature": (
        "rlaif/judges/calibration.py",
        "sigmoid(logit(min(p, 1.0 - CLAMP)) / self.temperature)",
        "sigmoid(logit(min(p, 1.0 - CLAMP)) * self.temperature)",
    ),
    "a-turned-pair-keeps-its-outcome": (
        "rlaif/judges/calibration.py",
        "(1.0 - p, 1.0 - outcome) for p, outcome, *_",
        "(1.0 - p, outcome) for p, outcome, *_",
    ),
    "a-temperature-without-smoothing": (
        "rlaif/judges/calibration.py",
        "    target = _smoothed(outcome, weight)\n",
        "    target = outcome\n",
    ),
    "a-curve-without-smoothing": (
        "rlaif/judges/calibration.py",
        "smoothed = _smoothed(values, weight)",
        "smoothed = values",
    ),
    "heavy-labels-need-no-smoothing": (
        "rlaif/judges/calibration.py",
        "float(weight.sum() ** 2 / (weight @ weight))",
        "float(weight.sum())",
    ),
    "a-group-on-both-sides-of-a-fit": (
        "rlaif/judges/calibration.py",
        'groups = [pair.group or f"\\x00{index}" for index, pair in enumerate(pairs)]',
        'groups = [f"\\x00{index}" for index, pair in enumerate(pairs)]',
    ),
    "calibration-measured-where-it-was-fitted": (
        "rlaif/judges/calibration.py",
        "rest = [pair for pair, its in zip(pairs, part_of, strict=True) if its != part]",
        "rest = list(pairs)",
    ),
    "the-curve-without-weights": (
        "rlaif/judges/calibration.py",
        "isotonic_regression(mean, weights=mass).x",
        "isotonic_regression(mean).x",
    ),
    "the-curve-falls-below-one-half": (
        "rlaif/judges/calibration.py",
        "isotonic_regression(mean, weights=mass).x, 0.5, 1.0)",
        "isotonic_regression(mean, weights=mass).x, 0.0, 1.0)",
    ),
    "the-fewest-labels-are-too-few": (
        "rlaif/judges/calibration.py",
        "    if len(pairs) < min_labels:\n",
        "    if len(pairs) <= min_labels:\n",
    ),
    "a-label-under-one-half-turned-twice": (
        "rlaif/judges/calibration.py",
        "return upper if p > 0.5 else 1.0 - upper",
        "return upper",
    ),
    "full-width-brackets-open-nothing": (
        "rlaif/judges/fencing.py",
        "\\ufe64\\uff1c",
        "\\ufe64",
    ),
    "tags-in-capitals-end-nothing": (
        "rlaif/judges/fencing.py",
        "return shown.translate(_SEEN_AS).casefold()",
        "return shown.translate(_SEEN_AS)",
    ),
    "entities-are-read-once": (
        "rlaif/judges/fencing.py",
        'html.unescape(_ESCAPED.sub("&", piece))',
        "html.unescape(piece)",
    ),
    "tokens-made-by-breaking-tokens-stay": (
        "rlaif/judges/fencing.py",
        "    while (broken := pattern.sub(",
        "    if (broken := pattern.sub(",
    ),
    "format-characters-stay-invisible": (
        "rlaif/judges/fencing.py",
        'in ("Cc", "Cf", "Cs", "Zl", "Zp"):',
        'in ("Cc", "Cs", "Zl", "Zp"):',
    ),
    "brackets-over-several-lines": (
        "rlaif/judges/fencing.py",
        "{' '.join(str(text).translate(_NO_BRACKETS).splitlines())}",
        "{str(text).translate(_NO_BRACKETS)}",
    ),
    "blanks-before-a-tags-name-save-it": (
        "rlaif/judges/fencing.py",
        "word = (word + shown).lstrip(_BEFORE_NAME)",
        "word = word + shown",
    ),
    "an-accent-saves-a-tag": (
        "rlaif/judges/fencing.py",
        "        if word in names and not shown:\n            return True",
        "        if word in names and not shown:\n            return False",
    ),
    "control-tokens-go-through": (
        "rlaif/judges/rendering.py",
        "without_fences(as_data(value, special_tokens), self._source.fences)",
        "without_fences(as_data(value), self._source.fences)",
    ),
    "what-stands-in-lists-is-no-data": (
        "rlaif/judges/rendering.py",
        "return [self._safe(inner, special_tokens) for inner in value]",
        "return list(value)",
    ),
    "examples-that-are-not-shown-are-borne": (
        "rlaif/judges/rendering.py",
        'if values.get("criterion", {}).get("examples"):',
        'if values.get("examples"):',
    ),
    "the-shipped-template-goes-first": (
        "rlaif/judges/rendering.py",
        'own if own and own.is_dir() else share("prompts", "judge", name)',
        'share("prompts", "judge", name)',
    ),
    "worked-grades-count-from-zero": (
        "rlaif/judges/messages.py",
        "str(1 + criterion.choices.index(example.choice))",
        "str(criterion.choices.index(example.choice))",
    ),
    "a-turn-can-begin-another": (
        "rlaif/judges/messages.py",
        """.replace("\\n", "\\n  ") for turn""",
        """ for turn""",
    ),
    "a-forger-leaves-the-place-open": (
        "rlaif/judges/probes.py",
        'return text.rstrip() + added.replace("{label}", label)',
        "return text.rstrip() + added",
    ),
    "regions-have-no-language": (
        "rlaif/judges/probes.py",
        'code = language.lower().split("-")[0]',
        "code = language.lower()",
    ),
    "repetition-says-it-once": (
        "rlaif/judges/probes.py",
        'return f"{text.rstrip()}\\n\\n{text.strip()}"',
        'return f"{text.rstrip()}\\n\\n"',
    ),
    "all-are-attacked-alike": (
        "rlaif/stages/probing.py",
        "KINDS[(start + turn) % len(KINDS)]",
        "KINDS[start % len(KINDS)]",
    ),
    "a-forger-wants-the-least-grade": (
        "rlaif/stages/probing.py",
        "{scale[-1]: _spoken(forms, scale, scale[-1]) for",
        "{scale[-1]: _spoken(forms, scale, scale[0]) for",
    ),
    "a-forger-takes-one-scale-for-all": (
        "rlaif/stages/probing.py",
        "return make_twin(original, kind, attacks, spoken)\n\n\ndef comparison_probe(",
        "return make_twin(original, kind, attacks, dict.fromkeys(spoken, next(iter(spoken.values()))))"
        "\n\n\ndef comparison_probe(",
    ),
    "a-forger-always-names-the-first": (
        "rlaif/judges/twins.py",
        "(second, _where(first, PAIR_LABELS[1]))",
        "(second, _where(first, PAIR_LABELS[0]))",
    ),
    "a-forger-speaks-the-protocol": (
        "rlaif/stages/probing.py",
        "return words.pop() if len(words) == 1 else wanted",
        "return wanted",
    ),
    "a-place-that-rounds-up-wins": (
        "rlaif/stages/audit.py",
        "EVEN + ROUNDING if",
        "EVEN if",
    ),
    "an-attacks-gain-is-a-loss": (
        "rlaif/stages/probing.py",
        "(score.score or 0.0) - (original.score or 0.0)",
        "(original.score or 0.0) - (score.score or 0.0)",
    ),
    "a-limit-breached-by-chance": (
        "rlaif/stages/audit.py",
        '(found.low > bound if side == "at most" else',
        '((found.rate or 0.0) > bound if side == "at most" else',
    ),
    "an-attack-without-verdict-failed": (
        "rlaif/stages/audit.py",
        "None if o.value is None else success(",
        "False if o.value is None else success(",
    ),
    "any-gain-is-a-success": (
        "rlaif/stages/audit.py",
        'if method == "comparison" else margin)',
        'if method == "comparison" else 0.0)',
    ),
    "the-label-is-taken-for-the-judge": (
        "rlaif/stages/audit.py",
        "return (verdict.p_forward + verdict.p_backward) / 2.0",
        "return verdict.p_first",
    ),
    "the-shorter-is-the-longer": (
        "rlaif/stages/audit.py",
        "float(answers[v.first_id].length - answers[v.second_id].length)",
        "float(answers[v.second_id].length - answers[v.first_id].length)",
    ),
    "failures-of-code-are-the-judges": (
        "rlaif/stages/audit.py",
        "said = [j for j in judgements if j.criterion in names]",
        "said = list(judgements)",
    ),
    "fishers-interval-of-all": (
        "rlaif/figures.py",
        "half = normal_quantile(confidence) / math.sqrt(size - 3.0)",
        "half = normal_quantile(confidence) / math.sqrt(size)",
    ),
    "pairs-never-shown-were-unscored": (
        "rlaif/stages/audit.py",
        "return verdict.p_forward is not None or verdict.unscored is not None",
        "return True",
    ),
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
    "judgements-of-a-prompt-are-independent": (
        "rlaif/clusters.py",
        "return float(count / max(1.0, summed / alone))",
        "return float(count)",
    ),
    "few-prompts-that-agree-show-independence": (
        "rlaif/clusters.py",
        "summed = (within**2).sum() + ((size * ends) ** 2).sum()",
        "summed = (within**2).sum() + size * (ends**2).sum()",
    ),
    "kappas-items-are-independent": (
        "rlaif/judges/agreement.py",
        "effective_size(found.influence[tuple(cells)], clusters, (-spread, spread))",
        "float(items)",
    ),
    "pairs-of-a-prompt-follow-length-alone": (
        "rlaif/logistic.py",
        "scores = cluster_sums(scores, clusters)",
        "scores = scores * 1.0",
    ),
    "the-ceiling-resists": (
        "rlaif/stages/audit.py",
        "or t.room > margin",
        "or t.room > -1.0",
    ),
    "code-can-be-talked-up": (
        "rlaif/stages/probing.py",
        "name: 1.0 if name in judged else part",
        "name: 1.0",
    ),
    "limits-go-by-all-cycles": (
        "rlaif/cycle/trusting.py",
        "[-ctx.config.audit.window_cycles :]",
        "",
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
