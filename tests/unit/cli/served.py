"""A judge on a server that likes Paris, and humans' labels to try it by."""

import json
import re
from pathlib import Path
from typing import Any

from rlaif.config import RlaifConfig
from rlaif.config_file import render_config
from rlaif.project import Project
from tests.servers.loopback import Asked, Loopback, completion, replying

LINES = [
    {"prompt": "2 + 3?", "first": "Four.", "second": "Five.", "better": "second"},
    {"prompt": "\u6cd5\u56fd\uff1f \U0001f642", "answer": "\u5df4\u9ece\u3002", "rating": 1.0},
]


def liking_paris(asked: Asked) -> dict[str, Any]:
    answers = re.findall(r"<answer>\n(.*?)\n</answer>", asked.text, re.DOTALL)
    likes = ["Paris" in answer or "Five" in answer for answer in answers]
    label = ("A" if likes[0] else "B") if len(answers) == 2 else ("3" if likes[0] else "1")
    return completion(f"\u597d\u3002\nVerdict: {label}", model="judge-8b", usage=(400, 100))


GOOD = replying(liking_paris)


def sit_on(project: Project, *servers: Loopback, **budget: Any) -> None:
    """Let the project's judge be one on servers; a call costs 0.0006."""
    server = {
        "endpoints": [one.address for one in servers],
        "model": "judge-8b",
        "log_probs": False,
        "prompt_price": 1.0,
        "reply_price": 2.0,
        "max_in_flight": 1,
    }
    judge = {"backend": "openai", "template": "detailed", "server": server}
    sections = project.config.model_dump(mode="json") | {"judge": judge, "budget": budget}
    config = RlaifConfig.model_validate(sections)
    project.config_path.write_text(render_config(config), encoding="utf-8")


def labelled(draft: Path) -> Path:
    """Return a file of humans' labels, beside the draft."""
    path = draft.with_name("human.jsonl")
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in LINES)
    path.write_text(text, encoding="utf-8")
    return path
