"""Faults in how judges on servers are asked, waited for, paid and read."""

FAULTS = {
    "each-refusal-of-a-burst-halves-the-window": (
        "rlaif/judges/remote/limiter.py",
        'if outcome == "overload" and began > self._decreased:',
        'if outcome == "overload":',
    ),
    "the-window-closes": (
        "rlaif/judges/remote/limiter.py",
        "max(1.0, self.limit * _DECREASE)",
        "self.limit * _DECREASE",
    ),
    "each-reply-widens-the-window-by-one": (
        "rlaif/judges/remote/limiter.py",
        "self.limit + 1.0 / self.limit",
        "self.limit + 1.0",
    ),
    "idle-windows-grow": (
        "rlaif/judges/remote/limiter.py",
        'elif outcome == "ok" and full:',
        'elif outcome == "ok":',
    ),
    "failures-in-all-open-the-breaker": (
        "rlaif/judges/remote/breaker.py",
        "        self._failures = 0\n        self._cooldown = self._first\n",
        "        self._cooldown = self._first\n",
    ),
    "cool-downs-never-double": (
        "rlaif/judges/remote/breaker.py",
        "min(2.0 * self._cooldown, _LONGEST * self._first)",
        "min(self._cooldown, _LONGEST * self._first)",
    ),
    "many-probes-at-once": (
        "rlaif/judges/remote/breaker.py",
        "return now >= self._opens_again and not self._probing",
        "return now >= self._opens_again",
    ),
    "calls-from-before-put-off-the-probe": (
        "rlaif/judges/remote/breaker.py",
        "elif self._opens_again is None and self._failures >= self._threshold:",
        "elif self._failures >= self._threshold:",
    ),
    "a-probe-that-says-nothing-is-waited-for": (
        "rlaif/judges/remote/breaker.py",
        "        if probe:\n            self._probing = False\n",
        "        if not probe:\n            self._probing = False\n",
    ),
    "milliseconds-are-seconds": (
        "rlaif/judges/remote/waits.py",
        "return milliseconds / 1000.0",
        "return milliseconds",
    ),
    "a-servers-date-by-our-clock": (
        "rlaif/judges/remote/waits.py",
        '(_date(headers.get("date")) or now)',
        "now",
    ),
    "waits-without-jitter": (
        "rlaif/judges/remote/waits.py",
        "float(self._generator.uniform(0.0, min(self._most, self._first * 2.0**doublings)))",
        "min(self._most, self._first * 2.0**doublings)",
    ),
    "the-first-wait-is-doubled": (
        "rlaif/judges/remote/waits.py",
        "doublings = min(failures - 1, 60)",
        "doublings = min(failures, 60)",
    ),
    "dates-are-not-heard": (
        "rlaif/judges/remote/waits.py",
        "    until = _date(said)\n",
        "    until = None\n",
    ),
    "nobody-waits-until-a-reply-is-kept": (
        "rlaif/judges/remote/keeping.py",
        "return (await asyncio.shield(done))[place]",
        "return [reply, await asyncio.sleep(0)][0]",
    ),
    "a-reply-goes-on-that-no-key-finds": (
        "rlaif/judges/remote/calling.py",
        "return received.kept_as(stored)",
        "return received",
    ),
    "a-store-that-fails-is-not-told": (
        "rlaif/judges/remote/keeping.py",
        "done.set_exception(exc)",
        "done.set_result(None)",
    ),
    "each-reply-is-put-alone": (
        "rlaif/judges/remote/keeping.py",
        "self._took = time.perf_counter() - start",
        "self._took = 0.0",
    ),
    "calls-under-way-are-free": (
        "rlaif/judges/budget.py",
        "limit.holds(spent + wanted + under_way)",
        "limit.holds(spent + wanted)",
    ),
    "a-budget-is-looked-at-after-the-call": (
        "rlaif/judges/budget.py",
        "            if not limit.holds(spent + wanted):\n",
        "            if not limit.holds(spent):\n",
    ),
    "a-call-that-fills-a-budget-does-not-fit": (
        "rlaif/judges/budget.py",
        "return spent <= self.most + slack",
        "return spent < self.most + slack",
    ),
    "a-new-day-frees-the-cycle": (
        "rlaif/judges/budget.py",
        "self._date, self._day = today, Spent()",
        "self._date, self._day, self._cycle = today, Spent(), Spent()",
    ),
    "estimates-are-held-for-ever": (
        "rlaif/judges/budget.py",
        "del self._under_way[bill]",
        "self._under_way[bill] = bill.spent",
    ),
    "the-cycle-is-not-charged": (
        "rlaif/judges/budget.py",
        "        self._cycle = plus(self._cycle, bill.spent)\n",
        "",
    ),
    "a-label-that-is-not-listed-is-impossible": (
        "rlaif/judges/remote/reading.py",
        "bound = min(least, rest / len(missing)) if missing else 0.0",
        "bound = 0.0",
    ),
    "one-spelling-of-a-label": (
        "rlaif/judges/remote/reading.py",
        'if text.strip() == word.encode("utf-8")]',
        'if text == word.encode("utf-8")]',
    ),
    "whatever-is-left-out-is-borne": (
        "rlaif/judges/remote/reading.py",
        "if missing and rest > MAX_UNLISTED:",
        "if len(missing) == len(labels) and rest > MAX_UNLISTED:",
    ),
    "a-label-within-a-token": (
        "rlaif/judges/remote/reading.py",
        "same = piece.strip() == label and begin == at + piece.index(label)",
        "same = label in piece and begin == at + piece.index(label)",
    ),
    "the-chosen-token-counts-twice": (
        "rlaif/judges/remote/reading.py",
        "        if one is token and text in found:\n            continue\n",
        "",
    ),
    "all-samples-by-one-seed": (
        "rlaif/judges/remote/asking.py",
        "return (first + question.index) % _SEED_RANGE",
        "return first % _SEED_RANGE",
    ),
    "all-samples-under-one-key": (
        "rlaif/judges/remote/asking.py",
        "*(format_, question.index, draws),",
        "*(format_, draws),",
    ),
    "a-second-asking-as-cold-as-the-first": (
        "rlaif/judges/remote/asking.py",
        "return SECOND_TEMPERATURE if again else self._config.temperature",
        "return self._config.temperature",
    ),
    "a-limit-of-writing-is-not-in-its-key": (
        "rlaif/judges/remote/asking.py",
        '            parts.append(f"at most {limit} tokens")\n',
        "            pass\n",
    ),
    "a-server-overloaded-is-broken": (
        "rlaif/judges/remote/failures.py",
        "_OVERLOADED = {429, 503}",
        "_OVERLOADED = {429}",
    ),
    "retry-after-ignored": (
        "rlaif/judges/remote/failures.py",
        'AttemptError("overload", reason, pause=pause, alive=alive)',
        'AttemptError("overload", reason, pause=None, alive=alive)',
    ),
    "a-key-that-may-not-is-tried-again": (
        "rlaif/judges/remote/failures.py",
        "if status == 401:",
        "if status == 407:",
    ),
    "a-request-that-is-wrong-is-tried-again": (
        "rlaif/judges/remote/failures.py",
        'return AttemptError("final", reason, alive=True)',
        'return AttemptError("trouble", reason)',
    ),
    "prices-of-reading-and-writing-swapped": (
        "rlaif/judges/remote/calling.py",
        "read * config.prompt_price + written * config.reply_price",
        "read * config.reply_price + written * config.prompt_price",
    ),
    "a-storm-uses-up-the-attempts": (
        "rlaif/judges/remote/calling.py",
        'counted = sum(failure.kind not in {"overload", "out"} for failure in self._failures)',
        "counted = len(self._failures)",
    ),
    "attempts-that-failed-are-free": (
        "rlaif/judges/remote/calling.py",
        "        if failed.sent:\n            bill.add(self._estimate)\n",
        "        if failed.sent:\n",
    ),
    "a-pause-is-cut-short-by-the-next": (
        "rlaif/judges/remote/endpoints.py",
        "max(endpoint.paused_until, now + pause)",
        "now + pause",
    ),
    "the-most-loaded-goes-first": (
        "rlaif/judges/remote/endpoints.py",
        'endpoint.breaker.state(now) != "closed", load',
        'endpoint.breaker.state(now) != "closed", -load',
    ),
    "another-size-is-the-same-model": (
        "rlaif/judges/remote/completion.py",
        'or (rest[0] == "-" and rest[1:].replace("-", "").isdecimal())',
        'or rest[0] == "-"',
    ),
    "choices-in-the-order-they-came": (
        "rlaif/judges/remote/completion.py",
        '    found.sort(key=lambda choice: _count(choice.get("index")) or 0)\n',
        "",
    ),
    "text-that-was-cut-off-is-whole": (
        "rlaif/judges/remote/answers.py",
        'cut_off(request.max_tokens) if said.finish == "length" else None',
        "cut_off(request.max_tokens) if not content else None",
    ),
    "words-after-a-verdict-that-were-cut-off-are-whole": (
        "rlaif/judges/remote/answers.py",
        'if form == "text" and said.finish == "length" and goes_on(',
        'if form == "text" and said.finish == "cut" and goes_on(',
    ),
    "what-stands-before-a-ranking-follows-it": (
        "rlaif/judges/remote/answers.py",
        "elif word_spans(around_cue(content, request.form)[1]):",
        "elif word_spans(around_cue(content, request.form)[0]):",
    ),
    "a-verdict-that-is-indented-is-the-judges-own": (
        "rlaif/judges/own_words.py",
        "or _columns(lines[i]) >= apart]",
        "]",
    ),
    "a-fence-that-nothing-closes-quotes-nothing": (
        "rlaif/judges/own_words.py",
        "yield opened, len(lines)",
        "yield opened, opened",
    ),
    "samples-that-were-cut-off-are-read": (
        "rlaif/judges/samples.py",
        "if failure is None",
        "if sample",
    ),
    "a-quoted-verdict-ends-a-critique": (
        "rlaif/judges/asking.py",
        "around_cue(reply.text, form)[0].strip(DRESSING)",
        'reply.text.partition("Verdict:")[0].strip(DRESSING)',
    ),
    "what-a-server-said-unreadably-failed-on-its-way": (
        "rlaif/judges/remote/answers.py",
        "unreadable=failure is not None and not silent,",
        "unreadable=failure is None and not silent,",
    ),
    "the-first-samples-critique-or-none": (
        "rlaif/judges/remote/answers.py",
        'next((sample.critique for sample in samples if sample.critique), "")',
        "first.critique",
    ),
}
