"""Questions of the bundled world for judges behind servers."""

from rlaif.judges import PAIR_LABELS, JudgeRequest, load_rubric, load_templates, rating_labels
from rlaif.project import share
from rlaif.records import Message, Prompt

ANSWERS = (
    "The capital of France is Paris.",
    "Paris. Now go away.",
    "The capital of France is Rome, dear friend, and I am glad to tell you so.",
)
QUESTION = "Sorry to bother you. Tell me the capital of France."


def bundled_requests() -> list[JudgeRequest]:
    """Return every answer under each criterion, and two pairs in both orders."""
    prompt = Prompt(id="p", messages=(Message(role="user", content=QUESTION),), split="train")
    rubric = load_rubric(share("prompts", "rubrics", "helpdesk.toml"))
    templates = load_templates("compact")
    shown = [(answer,) for answer in ANSWERS]
    first, second, third = ANSWERS
    shown += [(first, second), (second, first), (first, third), (third, first)]
    return [
        JudgeRequest(
            text=templates.render(criterion, prompt, answers),
            labels=rating_labels(len(criterion.choices)) if len(answers) == 1 else PAIR_LABELS,
            criterion=criterion.name,
            shown=tuple(answers),
        )
        for criterion in rubric.judge_criteria
        for answers in shown
    ]
