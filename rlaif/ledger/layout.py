"""The tables of the ledger, as SQL; applied by :mod:`rlaif.ledger.schema`.

Rows that a unit of work brought name it by ``(cycle, stage, unit)``. Their order is the order of
units by name and, within a unit, the order of insertion (``rowid``): so it does not depend on
which unit was committed first. Tables with a full text index have an explicit ``seq``, because
VACUUM may renumber a bare ``rowid``.
"""

APPLICATION_ID = 0x524C4146  # "RLAF" in the file's header
SCHEMA_VERSION = 8

_PLACE = "cycle INTEGER NOT NULL, stage TEXT NOT NULL, unit TEXT NOT NULL"
_PLACE_KEY = "FOREIGN KEY (cycle, stage, unit) REFERENCES units (cycle, stage, unit)"

RUN_TABLES = (
    """CREATE TABLE rubrics (
        hash TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
        text TEXT NOT NULL) STRICT""",
    """CREATE TABLE policies (
        version TEXT PRIMARY KEY NOT NULL, digest TEXT NOT NULL, path TEXT NOT NULL,
        parent TEXT REFERENCES policies (version), card TEXT NOT NULL CHECK (json_valid(card)),
        cycle INTEGER REFERENCES cycles (number)) STRICT""",
    """CREATE TABLE cycles (
        number INTEGER PRIMARY KEY CHECK (number >= 1), run_seed INTEGER NOT NULL,
        config TEXT NOT NULL CHECK (json_valid(config)), config_hash TEXT NOT NULL,
        rubric_hash TEXT NOT NULL REFERENCES rubrics (hash),
        incumbent TEXT NOT NULL REFERENCES policies (version),
        started_at TEXT NOT NULL, finished_at TEXT) STRICT""",
    """CREATE TABLE stages (
        cycle INTEGER NOT NULL REFERENCES cycles (number), stage TEXT NOT NULL,
        attempts INTEGER NOT NULL, seconds REAL NOT NULL,
        started_at TEXT NOT NULL, finished_at TEXT, PRIMARY KEY (cycle, stage)) STRICT""",
    """CREATE TABLE units (
        cycle INTEGER NOT NULL, stage TEXT NOT NULL, unit TEXT NOT NULL,
        seconds REAL NOT NULL, done_at TEXT NOT NULL, PRIMARY KEY (cycle, stage, unit),
        FOREIGN KEY (cycle, stage) REFERENCES stages (cycle, stage)) STRICT""",
    """CREATE TABLE promotions (
        position INTEGER PRIMARY KEY, version TEXT NOT NULL REFERENCES policies (version),
        kind TEXT NOT NULL CHECK (kind IN ('base', 'promote', 'rollback')),
        reason TEXT NOT NULL, cycle INTEGER REFERENCES cycles (number), at TEXT NOT NULL) STRICT""",
    """CREATE TABLE events (
        seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, message TEXT NOT NULL,
        cycle INTEGER, at TEXT NOT NULL) STRICT""",
    """CREATE TABLE oracle_reports (
        cycle INTEGER PRIMARY KEY REFERENCES cycles (number),
        content TEXT NOT NULL CHECK (json_valid(content))) STRICT""",
)

CONTENT_TABLES = (
    """CREATE TABLE prompts (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        messages TEXT NOT NULL CHECK (json_valid(messages)), text TEXT NOT NULL,
        tags TEXT NOT NULL CHECK (json_valid(tags)),
        split TEXT NOT NULL CHECK (split IN ('train', 'eval'))) STRICT""",
    f"""CREATE TABLE cycle_prompts (
        {_PLACE}, purpose TEXT NOT NULL CHECK (purpose IN ('train', 'eval')),
        position INTEGER NOT NULL, prompt_id TEXT NOT NULL REFERENCES prompts (id),
        PRIMARY KEY (cycle, purpose, prompt_id), {_PLACE_KEY}) STRICT""",
    """CREATE TABLE completions (
        id TEXT PRIMARY KEY NOT NULL, prompt_id TEXT NOT NULL REFERENCES prompts (id),
        policy TEXT NOT NULL, "index" INTEGER NOT NULL, text TEXT NOT NULL,
        length INTEGER NOT NULL, ended INTEGER NOT NULL CHECK (ended IN (0, 1)),
        duplicate_of TEXT REFERENCES completions (id)) STRICT""",
    "CREATE INDEX completions_by_prompt ON completions (prompt_id)",
    f"""CREATE TABLE completion_uses (
        {_PLACE}, purpose TEXT NOT NULL, completion_id TEXT NOT NULL REFERENCES completions (id),
        PRIMARY KEY (cycle, purpose, completion_id), {_PLACE_KEY}) STRICT""",
    "CREATE INDEX completion_uses_by_completion ON completion_uses (completion_id)",
    f"""CREATE TABLE judge_calls (
        id TEXT PRIMARY KEY NOT NULL, {_PLACE}, request_hash TEXT NOT NULL, judge TEXT NOT NULL,
        request TEXT NOT NULL, reply TEXT NOT NULL,
        label_probs TEXT NOT NULL CHECK (json_valid(label_probs)),
        prompt_tokens INTEGER NOT NULL, reply_tokens INTEGER NOT NULL, latency REAL NOT NULL,
        {_PLACE_KEY}) STRICT""",
    "CREATE INDEX judge_calls_by_request ON judge_calls (request_hash)",
    f"""CREATE TABLE critiques (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, {_PLACE},
        rubric_hash TEXT NOT NULL REFERENCES rubrics (hash), criterion TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('pointwise', 'pairwise')),
        first_id TEXT NOT NULL REFERENCES completions (id),
        second_id TEXT REFERENCES completions (id), critique TEXT NOT NULL,
        call_id TEXT REFERENCES judge_calls (id), {_PLACE_KEY}) STRICT""",
    "CREATE INDEX critiques_by_first ON critiques (first_id)",
    "CREATE INDEX critiques_by_second ON critiques (second_id) WHERE second_id IS NOT NULL",
    "CREATE INDEX critiques_by_cycle ON critiques (cycle)",
    """CREATE TABLE verdicts (
        critique_id TEXT PRIMARY KEY NOT NULL REFERENCES critiques (id),
        type TEXT NOT NULL CHECK (type IN ('rating', 'choice', 'unscored')),
        value REAL, reason TEXT,
        CHECK ((type = 'unscored') = (value IS NULL) AND (type = 'unscored') = (reason IS NOT NULL))
        ) STRICT""",
    "CREATE INDEX verdicts_unscored ON verdicts (critique_id) WHERE type = 'unscored'",
    f"""CREATE TABLE scores (
        {_PLACE}, completion_id TEXT NOT NULL REFERENCES completions (id), score REAL,
        parts TEXT NOT NULL CHECK (json_valid(parts)), vetoed_by TEXT, unscored TEXT,
        PRIMARY KEY (cycle, stage, completion_id), {_PLACE_KEY}) STRICT""",
    "CREATE INDEX scores_by_completion ON scores (completion_id)",
    f"""CREATE TABLE pair_verdicts (
        {_PLACE}, first_id TEXT NOT NULL REFERENCES completions (id),
        second_id TEXT NOT NULL REFERENCES completions (id), p_first REAL, p_forward REAL,
        p_backward REAL, quarantined TEXT, unscored TEXT,
        PRIMARY KEY (cycle, stage, first_id, second_id), {_PLACE_KEY}) STRICT""",
    "CREATE INDEX pair_verdicts_by_first ON pair_verdicts (first_id)",
    f"""CREATE TABLE preferences (
        id TEXT PRIMARY KEY NOT NULL, {_PLACE}, prompt_id TEXT NOT NULL REFERENCES prompts (id),
        first_id TEXT NOT NULL REFERENCES completions (id),
        second_id TEXT NOT NULL REFERENCES completions (id), label REAL NOT NULL,
        split TEXT NOT NULL CHECK (split IN ('train', 'heldout')),
        rubric_hash TEXT NOT NULL REFERENCES rubrics (hash), origin TEXT NOT NULL,
        {_PLACE_KEY}) STRICT""",
    "CREATE INDEX preferences_by_cycle ON preferences (cycle)",
    f"""CREATE TABLE artifacts (
        {_PLACE}, name TEXT NOT NULL, digest TEXT NOT NULL, path TEXT NOT NULL,
        PRIMARY KEY (cycle, stage, name), {_PLACE_KEY}) STRICT""",
    f"""CREATE TABLE metrics (
        {_PLACE}, step INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL,
        PRIMARY KEY (cycle, stage, step, name), {_PLACE_KEY}) STRICT""",
    f"""CREATE TABLE reports (
        {_PLACE}, kind TEXT NOT NULL, content TEXT NOT NULL CHECK (json_valid(content)),
        PRIMARY KEY (cycle, kind), {_PLACE_KEY}) STRICT""",
    f"""CREATE TABLE gate_decisions (
        {_PLACE}, decision TEXT NOT NULL CHECK (decision IN ('promote', 'hold')),
        checks TEXT NOT NULL CHECK (json_valid(checks)), PRIMARY KEY (cycle),
        {_PLACE_KEY}) STRICT""",
)

JUDGES_TABLES = (
    "ALTER TABLE judge_calls ADD COLUMN samples TEXT NOT NULL DEFAULT '[]' "
    "CHECK (json_valid(samples))",
    "ALTER TABLE judge_calls ADD COLUMN cost REAL NOT NULL DEFAULT 0.0",
    "ALTER TABLE scores ADD COLUMN disagreement REAL",
    "ALTER TABLE pair_verdicts ADD COLUMN disagreement REAL",
    "ALTER TABLE critiques ADD COLUMN judge TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE verdicts ADD COLUMN method TEXT "
    "CHECK (method IN ('label_probs', 'samples', 'words', 'code'))",
    """UPDATE critiques SET judge = (SELECT substr(j.judge, 1, 12) FROM judge_calls j
        WHERE j.id = call_id) WHERE call_id IS NOT NULL""",
    """UPDATE verdicts SET method = (SELECT CASE WHEN c.call_id IS NULL THEN 'code'
        WHEN j.label_probs != '{}' THEN 'label_probs' ELSE 'words' END FROM critiques c
        LEFT JOIN judge_calls j ON j.id = c.call_id WHERE c.id = critique_id)
        WHERE type != 'unscored'""",
    f"""CREATE TABLE probes (
        {_PLACE}, probe_id TEXT NOT NULL REFERENCES completions (id),
        original_id TEXT NOT NULL REFERENCES completions (id), kind TEXT NOT NULL,
        method TEXT NOT NULL CHECK (method IN ('rating', 'comparison')),
        rubric_hash TEXT NOT NULL REFERENCES rubrics (hash), value REAL, unscored TEXT,
        PRIMARY KEY (cycle, stage, probe_id, method), {_PLACE_KEY}) STRICT""",
    "CREATE INDEX probes_by_rubric ON probes (rubric_hash)",
    """CREATE TABLE replies (
        key TEXT PRIMARY KEY NOT NULL, judge TEXT NOT NULL, model TEXT NOT NULL, raw TEXT NOT NULL,
        prompt_tokens INTEGER NOT NULL, reply_tokens INTEGER NOT NULL, latency REAL NOT NULL,
        cost REAL NOT NULL, cycle INTEGER REFERENCES cycles (number),
        at TEXT NOT NULL) STRICT""",
    "CREATE INDEX replies_by_day ON replies (at, prompt_tokens, reply_tokens, cost)",
    "CREATE INDEX replies_by_cycle ON replies (cycle, prompt_tokens, reply_tokens, cost)",
)

FEEDBACK_TABLES = (
    "ALTER TABLE preferences ADD COLUMN weight REAL NOT NULL DEFAULT 1.0 CHECK (weight > 0)",
    """CREATE TABLE human_labels (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        prompt_id TEXT NOT NULL REFERENCES prompts (id),
        form TEXT NOT NULL CHECK (form IN ('rating', 'pair', 'ranking', 'edit')),
        first_id TEXT NOT NULL REFERENCES completions (id),
        second_id TEXT REFERENCES completions (id),
        value REAL NOT NULL CHECK (value BETWEEN 0 AND 1), criterion TEXT NOT NULL,
        rater TEXT NOT NULL, weight REAL NOT NULL CHECK (weight > 0), note TEXT NOT NULL,
        frozen INTEGER NOT NULL CHECK (frozen IN (0, 1)), source TEXT NOT NULL, at TEXT NOT NULL,
        CHECK ((form = 'rating') = (second_id IS NULL))) STRICT""",
    "CREATE INDEX human_labels_by_prompt ON human_labels (prompt_id)",
    f"""CREATE TABLE cycle_labels (
        {_PLACE}, label_id TEXT NOT NULL REFERENCES human_labels (id),
        PRIMARY KEY (cycle, label_id), {_PLACE_KEY}) STRICT""",
)

SEARCHED = (("prompts", "text"), ("critiques", "critique"))

LOG_TABLES = (
    "DROP TRIGGER critiques_ai",
    "DROP TRIGGER critiques_ad",
    "DROP TRIGGER critiques_au",
    "DROP TRIGGER prompts_ai",
    "DROP TRIGGER prompts_ad",
    "DROP TRIGGER prompts_au",
    "DROP TABLE critiques_fts",
    "DROP TABLE prompts_fts",
    "CREATE VIRTUAL TABLE critiques_fts USING fts5 ("
    "critique, prompt, facts, content = '', tokenize = 'ascii')",
    "INSERT INTO critiques_fts (critiques_fts, rank) VALUES ('automerge', 8)",
    "CREATE TABLE critique_words (word TEXT PRIMARY KEY NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE critique_values (field TEXT NOT NULL, value TEXT NOT NULL, "
    "PRIMARY KEY (field, value)) STRICT, WITHOUT ROWID",
)

WRITTEN_TABLES = (
    "ALTER TABLE critiques ADD COLUMN grader TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE critiques ADD COLUMN writing_id TEXT REFERENCES judge_calls (id)",
    f"""CREATE TABLE revisions (
        {_PLACE}, original_id TEXT NOT NULL REFERENCES completions (id),
        completion_id TEXT REFERENCES completions (id), judge TEXT NOT NULL,
        critique_ids TEXT NOT NULL CHECK (json_valid(critique_ids)),
        rubric_hash TEXT NOT NULL REFERENCES rubrics (hash), p_better REAL, p_forward REAL,
        p_backward REAL, rejected TEXT, call_id TEXT REFERENCES judge_calls (id),
        CHECK (rejected IS NOT NULL OR (completion_id IS NOT NULL AND p_better IS NOT NULL)),
        PRIMARY KEY (cycle, stage, original_id), {_PLACE_KEY}) STRICT""",
    "CREATE INDEX revisions_by_completion ON revisions (completion_id)",
    "CREATE INDEX revisions_by_original ON revisions (original_id)",
    f"""CREATE TABLE markings (
        critique_id TEXT PRIMARY KEY NOT NULL REFERENCES critiques (id), {_PLACE},
        unscored TEXT, call_id TEXT REFERENCES judge_calls (id), {_PLACE_KEY}) STRICT""",
    """CREATE TABLE marked_errors (
        critique_id TEXT NOT NULL REFERENCES markings (critique_id), position INTEGER NOT NULL,
        quote TEXT NOT NULL, why TEXT NOT NULL, start INTEGER, "end" INTEGER, unlocated TEXT,
        CHECK ((start IS NULL) = (unlocated IS NOT NULL) AND (start IS NULL) = ("end" IS NULL)),
        PRIMARY KEY (critique_id, position)) STRICT""",
)

# What a table's CHECKs allow cannot be changed, so both are made anew under their names.
LISTS_TABLES = (
    f"""CREATE TABLE critiques_new (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, {_PLACE},
        rubric_hash TEXT NOT NULL REFERENCES rubrics (hash), criterion TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('pointwise', 'pairwise', 'listwise')),
        first_id TEXT NOT NULL REFERENCES completions (id),
        second_id TEXT REFERENCES completions (id), critique TEXT NOT NULL,
        call_id TEXT REFERENCES judge_calls (id), judge TEXT NOT NULL, grader TEXT NOT NULL,
        writing_id TEXT REFERENCES judge_calls (id), {_PLACE_KEY}) STRICT""",
    "INSERT INTO critiques_new SELECT seq, id, cycle, stage, unit, rubric_hash, criterion, kind, "
    "first_id, second_id, critique, call_id, judge, grader, writing_id FROM critiques",
    "DROP TABLE critiques",
    "ALTER TABLE critiques_new RENAME TO critiques",
    "CREATE INDEX critiques_by_first ON critiques (first_id)",
    "CREATE INDEX critiques_by_second ON critiques (second_id) WHERE second_id IS NOT NULL",
    "CREATE INDEX critiques_by_cycle ON critiques (cycle)",
    """CREATE TABLE verdicts_new (
        critique_id TEXT PRIMARY KEY NOT NULL REFERENCES critiques (id),
        type TEXT NOT NULL CHECK (type IN ('rating', 'choice', 'ranking', 'unscored')),
        value REAL, places TEXT CHECK (places IS NULL OR json_valid(places)), reason TEXT,
        method TEXT CHECK (method IN ('label_probs', 'samples', 'words', 'code')),
        CHECK ((type IN ('rating', 'choice')) = (value IS NOT NULL)
        AND (type = 'ranking') = (places IS NOT NULL)
        AND (type = 'unscored') = (reason IS NOT NULL))) STRICT""",
    "INSERT INTO verdicts_new SELECT critique_id, type, value, NULL, reason, method FROM verdicts",
    "DROP TABLE verdicts",
    "ALTER TABLE verdicts_new RENAME TO verdicts",
    "CREATE INDEX verdicts_unscored ON verdicts (critique_id) WHERE type = 'unscored'",
    """CREATE TABLE critique_others (
        critique_id TEXT NOT NULL REFERENCES critiques (id),
        position INTEGER NOT NULL CHECK (position >= 2),
        completion_id TEXT NOT NULL REFERENCES completions (id),
        PRIMARY KEY (critique_id, position)) STRICT""",
    "CREATE INDEX critique_others_by_completion ON critique_others (completion_id)",
)

AUDITS_TABLES = (
    """CREATE TABLE audits (
        number INTEGER PRIMARY KEY CHECK (number >= 1), at TEXT NOT NULL,
        content TEXT NOT NULL CHECK (json_valid(content))) STRICT""",
)

WORDING_TABLES = (
    """CREATE TABLE cycle_rubrics (
        cycle INTEGER PRIMARY KEY CHECK (cycle >= 1), name TEXT NOT NULL, version TEXT NOT NULL,
        text TEXT NOT NULL) STRICT""",
)

CUT_COLUMNS = (
    "ALTER TABLE judge_calls ADD COLUMN cut INTEGER NOT NULL DEFAULT 0 CHECK (cut >= 0)",
)
