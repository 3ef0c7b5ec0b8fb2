"""Projects whose judge is a server, and cycles begun by hand in a ledger."""

import re
from typing import Any

from rlaif.ledger.writer import Ledger
from rlaif.project import Project
from tests.cycle.conftest import JUDGED, Maker
from tests.servers.loopback import Asked, Loopback, completion, replying

KEY = "sk-test-0123456789abcdef"
KEY_NAME = "SERVED_JUDGE_KEY"
FEWER_PROMPTS = {"prompts_per_cycle": 4, "eval_prompts": 2, "duplicate_similarity": 1.0}


def short_is_kind(asked: Asked) -> dict[str, Any]:
    """Prefer short answers; rate by length."""
    answers = re.findall(r"<answer>\n(.*?)\n</answer>", asked.text, re.DOTALL)
    if len(answers) == 2:
        label = "A" if len(answers[0]) <= len(answers[1]) else "B"
    else:
        label = "3" if len(answers[0]) < 25 else "1"
    return completion(f"It is as long as it is.\nVerdict: {label}", model="judge-8b", usage=(40, 8))


GOOD = replying(short_is_kind)


def served(
    make: Maker,
    server: Loopback,
    name: str = "project",
    also: tuple[Loopback, ...] = (),
    **changes: Any,
) -> Project:
    judge = {
        "backend": "openai",
        "template": "detailed",
        "batch_size": 4,
        "server": {
            "endpoints": [one.address for one in (server, *also)],
            "model": "judge-8b",
            "key_variable": KEY_NAME,
            "log_probs": False,
            "prompt_price": 1.0,
            "reply_price": 10.0,
        },
    }
    untried = {"probe_share": 0.0, "again_share": 0.0}
    given = {"audit": untried, "sampling": FEWER_PROMPTS, **changes}
    return make(name, rubric=JUDGED, judge=judge, **given)


def begin(ledger: Ledger, cycle: int) -> None:
    known = ledger.latest_cycle()
    if known is not None and known.number < cycle:
        ledger.finish_cycle(known.number)
    ledger.add_rubric("h", "r", "1", "text")
    ledger.register_base("v0000", "d", "p", {})
    ledger.begin_cycle(
        cycle, run_seed=1, config={}, config_hash="c", rubric_hash="h", incumbent="v0000"
    )
