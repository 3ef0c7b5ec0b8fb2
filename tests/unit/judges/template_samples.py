"""The templates that ship, and folders of one's own."""

from pathlib import Path

from judge_samples import judge_criterion
from render_strategies import conversation

from rlaif.judges import Templates, load_templates
from rlaif.project import share

CRITERION = judge_criterion("kind")
SHIPPED = sorted(path.name for path in share("prompts", "judge").iterdir())
LOADED = {name: load_templates(name) for name in SHIPPED}
FENCED = LOADED["detailed"]
WHOLE = ["brief", "detailed", "detailed-zh"]
TALK = conversation(
    ("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello."), ("user", "Bye")
)
POINTWISE = "{{ criterion.text }}|{{ prompt }}|{{ completion }}"
PAIRWISE = "{{ criterion.text }}|{{ prompt }}|{{ first }}|{{ second }}"
REQUIRED = {"pointwise": POINTWISE, "pairwise": PAIRWISE}


def project_with(root: Path, name: str, **templates: str) -> Path:
    folder = root / "prompts" / "judge" / name
    folder.mkdir(parents=True)
    for kind, text in templates.items():
        (folder / f"{kind}.jinja").write_text(text, encoding="utf-8")
    return root


def own(root: Path, **templates: str) -> Templates:
    return load_templates("mine", project_with(root, "mine", **{**REQUIRED, **templates}))
