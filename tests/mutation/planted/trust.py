"""Faults in what makes a judge one to be trusted: fences, probes, audits, calibration."""

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
        'side(value) > 0 if method == "comparison" else value > margin',
        'value > EVEN if method == "comparison" else value > margin',
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
        'if method == "comparison" else value > margin',
        'if method == "comparison" else value > 0.0',
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
        "rlaif/judges/kappa.py",
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
}
