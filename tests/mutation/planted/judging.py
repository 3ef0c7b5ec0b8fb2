"""Faults in how a judge's words and probabilities become verdicts, scores and labels."""

FAULTS = {
    "a-pairs-label-is-that-of-the-second": (
        "rlaif/judges/protocol.py",
        "Choice(p_first=clipped(values[0] / mass))",
        "Choice(p_first=clipped(values[1] / mass))",
    ),
    "mass-on-other-words-speaks-for-the-second": (
        "rlaif/judges/protocol.py",
        "Choice(p_first=clipped(values[0] / mass))",
        "Choice(p_first=clipped(values[0]))",
    ),
    "ratings-begin-at-one": (
        "rlaif/judges/protocol.py",
        "[value * index for index, value in enumerate(values)]",
        "[value * index for index, value in enumerate(values, 1)]",
    ),
    "a-rating-by-its-labels-not-their-steps": (
        "rlaif/judges/protocol.py",
        "clipped(math.fsum(levels) / (len(labels) - 1) / mass)",
        "clipped(math.fsum(levels) / len(labels) / mass)",
    ),
    "any-mass-on-the-labels-will-do": (
        "rlaif/judges/protocol.py",
        "if mass <= 0.0 or mass < min_label_mass:",
        "if mass <= 0.0:",
    ),
    "a-reply-that-failed-is-read": (
        "rlaif/judges/protocol.py",
        "    if reply.failure is not None:\n",
        "    if reply.failure is not None and reply.call is None:\n",
    ),
    "white-space-is-a-critique": (
        "rlaif/judges/protocol.py",
        "if request.critique and not reply.critique.strip():",
        "if request.critique and not reply.critique:",
    ),
    "samples-go-before-probabilities": (
        "rlaif/judges/protocol.py",
        "    if reply.call.label_probs:\n        return verdict_from_labels(",
        "    if reply.call.label_probs and not reply.call.reply:\n        return verdict_from_labels(",
    ),
    "a-word-for-the-first-is-one-for-the-second": (
        "rlaif/judges/protocol.py",
        "Choice(p_first=1.0 - place)",
        "Choice(p_first=float(place))",
    ),
    "a-word-for-a-grade-never-reaches-the-top": (
        "rlaif/judges/protocol.py",
        "Rating(score=place / (len(labels) - 1))",
        "Rating(score=place / len(labels))",
    ),
    "a-second-asking-finds-the-first-reply": (
        "rlaif/judges/protocol.py",
        "later = [request.attempt] if request.attempt > 1 else []",
        "later: list[int] = []",
    ),
    "the-last-verdict-line-counts": (
        "rlaif/judges/verdict_forms.py",
        "lines = _cued(reply, form.cue) if form.cue is not None else []",
        "lines = _cued(reply, form.cue)[-1:] if form.cue is not None else []",
    ),
    "one-of-several-labels-is-taken": (
        "rlaif/judges/verdict_forms.py",
        "    if len(named) > 1:\n",
        "    if len(named) > len(labels):\n",
    ),
    "a-label-ends-before-its-decimals": (
        "rlaif/judges/verdict_forms.py",
        '_ENDS = rf"(?!{_JOINED}|[.,:/\\u2044\\u2215]\\d|[-\'\\u2019]{_JOINED})"',
        '_ENDS = rf"(?!{_JOINED})"',
    ),
    "a-quoted-verdict-is-the-judges-own": (
        "rlaif/judges/verdict_forms.py",
        "[\\s*_#]*{words}",
        "[\\s*_#>]*{words}",
    ),
    "a-quoted-phrase-is-the-judges-own": (
        "rlaif/judges/verdict_forms.py",
        "_phrase_pattern(form.phrase, spoken).findall(own_words(reply))",
        "_phrase_pattern(form.phrase, spoken).findall(reply)",
    ),
    "what-follows-a-phrase-begins-with-its-own-words": (
        "rlaif/judges/verdict_forms.py",
        "rest = rest.removeprefix(pattern.partition(PLACE)[2]) if pattern is not None else rest",
        "rest = rest.removeprefix(pattern) if pattern is not None else rest",
    ),
    "chinese-colons-end-no-cue": (
        "rlaif/judges/verdict_forms.py",
        "[:\\uff1a](.*)",
        ":(.*)",
    ),
    "a-tie-in-a-ranking-is-an-order": (
        "rlaif/judges/verdict_forms.py",
        're.split("[>\\uff1e]", lines[0])]\n    if re.search("[=\\uff1d]", lines[0]):',
        're.split("[>\\uff1e=\\uff1d]", lines[0])]\n    if re.search("[<\\uff1c]", lines[0]):',
    ),
    "a-ranking-of-some-will-do": (
        "rlaif/judges/verdict_forms.py",
        "if sorted(ranked) != sorted(labels):",
        "if len(set(ranked)) != len(ranked):",
    ),
    "one-sample-with-a-verdict-will-do": (
        "rlaif/judges/samples.py",
        "if not is_quorum(len(samples) - len(reasons), len(samples)):",
        "if len(reasons) == len(samples):",
    ),
    "samples-without-a-verdict-are-ties": (
        "rlaif/judges/samples.py",
        "Choice(p_first=math.fsum(shares) / len(shares))",
        "Choice(p_first=(math.fsum(shares) + 0.5 * len(reasons)) / len(samples))",
    ),
    "fields-nobody-asked-for-are-borne": (
        "rlaif/judges/samples.py",
        "sorted(found) != fields",
        "not set(fields) <= found.keys()",
    ),
    "of-a-field-twice-the-last-counts": (
        "rlaif/judges/samples.py",
        "object_pairs_hook=_without_doubles",
        "object_pairs_hook=dict",
    ),
    "the-second-order-is-not-turned-back": (
        "rlaif/judges/aggregation.py",
        "{c.name: 1.0 - _p_shown_first(backward[c.name]) for c in criteria}",
        "{c.name: _p_shown_first(backward[c.name]) for c in criteria}",
    ),
    "one-order-stands-for-both": (
        "rlaif/judges/aggregation.py",
        "p_first=(self.forward + self.backward) / 2.0,",
        "p_first=self.forward,",
    ),
    "criteria-are-compared-without-weight": (
        "rlaif/judges/aggregation.py",
        "return math.fsum(c.weight * values[c.name] for c in self._criteria) / total",
        "return math.fsum(values[c.name] for c in self._criteria) / len(self._criteria)",
    ),
    "a-score-divides-by-the-number-of-criteria": (
        "rlaif/judges/aggregation.py",
        "total = math.fsum(c.weight for c in rubric.criteria)",
        "total = float(len(rubric.criteria))",
    ),
    "a-criterion-without-verdict-is-a-zero": (
        "rlaif/judges/aggregation.py",
        'missing.append(f"{criterion.name}: {_why_not(verdict)}")',
        "parts[criterion.name] = 0.0",
    ),
    "a-broken-veto-costs-its-weight-alone": (
        "rlaif/judges/aggregation.py",
        "return 0.0 if broken else min(mean, 1.0), broken",
        "return min(mean, 1.0), broken",
    ),
    "every-flip-is-quarantined": (
        "rlaif/judges/weighing.py",
        "if not sides_differ or abs(forward - backward) <= threshold + EVEN:",
        "if not sides_differ:",
    ),
    "orders-apart-on-one-side-are-a-flip": (
        "rlaif/judges/weighing.py",
        "if not sides_differ or abs(forward - backward) <= threshold + EVEN:",
        "if abs(forward - backward) <= threshold + EVEN:",
    ),
    "an-order-without-a-verdict-is-even": (
        "rlaif/judges/aggregation.py",
        "judgement.verdict.p_first if isinstance(judgement.verdict, Choice) else math.nan",
        "judgement.verdict.p_first if isinstance(judgement.verdict, Choice) else 0.5",
    ),
    "scores-and-judge-change-weights": (
        "rlaif/judges/weighing.py",
        "clipped((1.0 - weight) * p_scores + weight * p_judge)",
        "clipped(weight * p_scores + (1.0 - weight) * p_judge)",
    ),
    "clamp-sides-swapped": (
        "rlaif/judges/weighing.py",
        "min(max(judged.p_first, settings.clamp), 1.0 - settings.clamp)",
        "max(min(judged.p_first, settings.clamp), 1.0 - settings.clamp)",
    ),
    "scores-times-their-temperature": (
        "rlaif/judges/weighing.py",
        "math.tanh((first - second) / temperature / 2.0)",
        "math.tanh((first - second) * temperature / 2.0)",
    ),
    "only-two-vetoes-decide": (
        "rlaif/judges/weighing.py",
        "decided = (scores[0].vetoed_by is None) != (scores[1].vetoed_by is None)",
        "decided = scores[0].vetoed_by is not None and scores[1].vetoed_by is not None",
    ),
    "a-doubt-that-decides-nothing-quarantines": (
        "rlaif/judges/weighing.py",
        "doubts = [judged.doubt] if weight > 0.0 else []",
        "doubts = [judged.doubt]",
    ),
    "what-a-veto-decides-is-beyond-doubt": (
        "rlaif/judges/weighing.py",
        "    doubted = _doubt_of(scores)\n",
        "    doubted = None if decided else _doubt_of(scores)\n",
    ),
    "a-rating-in-doubt-has-half-a-say": (
        "rlaif/judges/weighing.py",
        "    if weight > 0.0 and doubted is not None:\n        weight = 1.0\n",
        "",
    ),
    "a-comparison-settles-a-veto-in-doubt": (
        "rlaif/judges/weighing.py",
        "if weight == 0.0 or any(c.veto for c in rubric.judge_criteria):",
        "if weight == 0.0:",
    ),
    "a-split-jury-by-the-threshold-of-flips": (
        "rlaif/judges/weighing.py",
        "if disagreement is not None and disagreement > settings.max_disagreement:",
        "if disagreement is not None and disagreement > settings.flip_threshold:",
    ),
    "criteria-without-weight-are-compared": (
        "rlaif/judges/weighing.py",
        "tuple(c for c in rubric.judge_criteria if c.weight > 0.0)",
        "tuple(rubric.judge_criteria)",
    ),
    "half-of-a-jury-will-do": (
        "rlaif/judges/quorum.py",
        "2 * verdicts > asked",
        "2 * verdicts >= asked",
    ),
    "who-abstains-is-in-doubt": (
        "rlaif/judges/combining.py",
        "    if not isinstance(verdict, Rating):\n        return None\n",
        "    if not isinstance(verdict, Rating):\n        return (1.0 / levels,) * levels\n",
    ),
    "a-rating-is-rounded-to-a-level": (
        "rlaif/judges/combining.py",
        "tuple(max(0.0, 1.0 - abs(place - level)) for level in range(levels))",
        "tuple(float(round(place) == level) for level in range(levels))",
    ),
    "the-worst-disagreement-is-that-of-all": (
        "rlaif/judges/combining.py",
        "return Merged(judgements, total / weight if weight else None, tuple",
        "return Merged(judgements, max(apart for _, apart in parts) if weight else None, tuple",
    ),
    "a-split-on-a-veto-needs-weight": (
        "rlaif/judges/combining.py",
        "        if on_veto is not None:",
        "        if on_veto is not None and found.criterion.weight > 0.0:",
    ),
    "jurors-apart-anywhere-are-split-on-the-veto": (
        "rlaif/judges/combining.py",
        "broken = [self.criterion.broken_by(level / top) for level in range(self.levels)]",
        "broken = [level < top for level in range(self.levels)]",
    ),
    "ratings-err-the-same-both-ways-round": (
        "rlaif/judges/combining.py",
        'symmetric=kind == "pairwise"',
        "symmetric=True",
    ),
    "a-majority-of-probabilities": (
        "rlaif/judges/jury.py",
        "votes = np.stack([_leaders(row) for row in table]).sum(axis=0)",
        "votes = table.sum(axis=0)",
    ),
    "all-jurors-weigh-alike": (
        "rlaif/judges/jury.py",
        "tuple((weight @ table / weight.sum()).tolist())",
        "tuple(table.mean(axis=0).tolist())",
    ),
    "disagreement-in-nats": (
        "rlaif/judges/jury.py",
        "-(kept * np.log2(kept)).sum()",
        "-(kept * np.log(kept)).sum()",
    ),
    "jurors-in-doubt-disagree": (
        "rlaif/judges/jury.py",
        "return max(_entropy(table.mean(axis=0)) - own, 0.0)",
        "return _entropy(table.mean(axis=0))",
    ),
    "confusions-by-what-was-said": (
        "rlaif/judges/jury.py",
        "confusion / confusion.sum(axis=2, keepdims=True), prior / prior.sum()",
        "confusion / confusion.sum(axis=1, keepdims=True), prior / prior.sum()",
    ),
    "smoothing-votes-for-each-label": (
        "rlaif/judges/jury.py",
        "smoothing * (0.5 * np.eye(labels) + 0.5 / max(labels, 1))",
        "smoothing * (0.5 * np.eye(labels) + 0.5)",
    ),
    "evidence-without-the-prior": (
        "rlaif/judges/jury.py",
        'log_joint = np.log(prior) + np.einsum("ijl,jkl->ik", said, np.log(confusion))',
        'log_joint = 0.0 * prior + np.einsum("ijl,jkl->ik", said, np.log(confusion))',
    ),
    "an-outlier-of-a-jury-that-is-split": (
        "rlaif/judges/jury.py",
        "        and not np.delete(np.delete(apart, place, 0), place, 1).any()\n",
        "",
    ),
    "tau-is-the-share-that-agrees": (
        "rlaif/judges/lists.py",
        "return sum(signs) / len(signs)",
        "return signs.count(1) / len(signs)",
    ),
    "an-order-ranked-by-many-counts-more": (
        "rlaif/judges/lists.py",
        "weights = [self._asked / orders.count(r.shown) for r in ranked]",
        "weights = [1.0 for _ in ranked]",
    ),
    "places-read-as-ranks": (
        "rlaif/judges/lists.py",
        "tuple(j.completion_ids[i] for i in v.places)",
        "tuple(j.completion_ids[v.places.index(i)] for i in range(len(v.places)))",
    ),
    "shown-before-and-after-swapped": (
        "rlaif/judges/lists.py",
        "if _is_above(pair, r.shown) == first]",
        "if _is_above(pair, r.shown) != first]",
    ),
    "a-lists-pair-may-flip": (
        "rlaif/judges/lists.py",
        "if doubt is None and forward is not None and backward is not None:",
        "if doubt is not None and forward is not None and backward is not None:",
    ),
    "unrelated-rankings-are-borne": (
        "rlaif/judges/lists.py",
        "if tau is None or tau >= least:",
        "if tau is None or tau >= -least:",
    ),
    "the-last-of-a-ranking-wins-too": (
        "rlaif/judges/ranking.py",
        "self._wins[order[:-1]] += weight",
        "self._wins[order] += weight",
    ),
    "the-last-is-chosen-too": (
        "rlaif/judges/ranking.py",
        "share[:-1] = 1.0 / left[:-1]",
        "share[:] = 1.0 / left",
    ),
    "the-same-span-again-is-the-same-place": (
        "rlaif/judges/marked_errors.py",
        "self._after[key] = place[1]",
        "self._after[key] = 0",
    ),
    "an-error-that-cannot-be-read-is-passed-over": (
        "rlaif/judges/marked_errors.py",
        'return Unscored(reason=f"the error is {quoted(said)}, not \'\\"SPAN\\" - WHY\'")',
        "continue",
    ),
    "no-errors-beside-errors-is-borne": (
        "rlaif/judges/marked_errors.py",
        "if bool(marked) == bool(none) or none > 1:",
        "if not marked and not none:",
    ),
    "quoted-no-errors-are-the-judges-own": (
        "rlaif/judges/marked_errors.py",
        'own_words(reply).split("\\n")\n    marked',
        'reply.split("\\n")\n    marked',
    ),
    "no-errors-beside-a-list-of-errors-is-borne": (
        "rlaif/judges/marked_errors.py",
        "if none and (listed := _listed(written, finder)) is not None:",
        "if none > 1 and (listed := _listed(written, finder)) is not None:",
    ),
    "only-quoted-items-of-a-list-are-errors": (
        "rlaif/judges/marked_errors.py",
        "(headed and item and said and not _NONE.fullmatch(line))",
        "(headed and item and not said)",
    ),
    "the-shortest-reading-of-a-quote": (
        "rlaif/judges/marked_errors.py",
        "there[-1] if there else readings[0]",
        "there[0] if there else readings[0]",
    ),
    "a-reply-that-failed-is-asked-for-again": (
        "rlaif/judges/second_asking.py",
        "if reply.call is None or (reply.failure is not None and not reply.unreadable):",
        "if reply.call is None:",
    ),
    "json-that-cannot-be-read-is-a-failure": (
        "rlaif/judges/second_asking.py",
        "if reply.call is None or (reply.failure is not None and not reply.unreadable):",
        "if reply.call is None or reply.failure is not None:",
    ),
    "a-judge-half-of-whose-replies-fail-is-gone": (
        "rlaif/judges/second_asking.py",
        "2 * len(lost) <= len(replies)",
        "2 * len(lost) < len(replies)",
    ),
    "sureness-is-a-jurors-vote": (
        "rlaif/judges/combining.py",
        "cast = [votes(q.opinions) for q in members]",
        "cast = [q.opinions for q in members]",
    ),
    "jurors-worth-is-learned-from-any-few": (
        "rlaif/judges/combining.py",
        "if len(members) < FEWEST_QUESTIONS:",
        "if not members:",
    ),
}
