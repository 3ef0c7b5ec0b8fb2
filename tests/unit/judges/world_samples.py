"""Small worlds made by hand for the benchmark of the judge, and a panel that judges them."""

from collections.abc import Callable

from benchmarks.judge_world.attacks import ways
from benchmarks.judge_world.world import World, grades
from rlaif.bundled.grammar import all_prompts
from rlaif.config import JudgingConfig
from rlaif.judges import Juror, Rubric, RubricJudge, load_rubric, load_templates
from rlaif.judges.probes import load_attacks
from rlaif.project import share
from rlaif.records import Completion, Message, Prompt
from rlaif.testing import ScriptedJudge

RIGHT = "Happy to help! The capital of France is Paris."
WRONG = "The capital of France is Rome. What a bore."
PLAINLY = "The capital of France is Paris."
TOKENS = ("<|assistant|>", "<|end|>")


def asked(number: int) -> Prompt:
    """Return one of the world's ways to ask for the capital of France."""
    texts = [p.text for p in all_prompts() if p.item.key == "capital/France"]
    turn = Message(role="user", content=texts[number])
    return Prompt(id=f"prompt-{number}", messages=(turn,), split="eval")


def answer(prompt: Prompt, name: str, text: str, *, ended: bool = True) -> Completion:
    return Completion(
        id=f"{prompt.id}-{name}",
        prompt_id=prompt.id,
        policy="policy",
        index=0,
        text=text,
        length=5,
        ended=ended,
    )


def made(*texts: tuple[str, str]) -> World:
    """Return a world of one pair for each two texts."""
    prompts = [asked(number) for number in range(len(texts))]
    pairs = [
        (prompt, answer(prompt, "a", one), answer(prompt, "b", other))
        for prompt, (one, other) in zip(prompts, texts, strict=True)
    ]
    answers = [each for _, *both in pairs for each in both]
    text_of = {prompt.id: prompt.text for prompt in prompts}
    truth = {each.id: grades(text_of[each.prompt_id], each) for each in answers}
    return World(prompts, answers, pairs, truth)


def panel(quality: Callable[[str], float], **judging: float) -> RubricJudge:
    """Return the bundled rubric's judge criteria, with a judge of some taste."""
    rubric = load_rubric(share("prompts", "rubrics", "helpdesk.toml"))
    judge = ScriptedJudge.preferring(quality)
    return RubricJudge(
        Rubric.model_validate({**dict(rubric), "criteria": rubric.judge_criteria}),
        judging=JudgingConfig(**judging),  # type: ignore[arg-type]
        jury=[Juror("scripted", judge, load_templates("compact"), 0.5)],
    )


def question(text: str, kind: str, label: str = "A") -> str:
    return ways(load_attacks("en"))[kind](text, label)
