"""Prompts, answers and the truth about them: what the judge is measured on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rlaif.bundled import teacher
from rlaif.bundled.analysis import analyse
from rlaif.bundled.grammar import parse_prompt
from rlaif.bundled.oracle import HelpDeskOracle
from rlaif.crew import Crew
from rlaif.judges.panel import ComparedItem
from rlaif.project import Project
from rlaif.records import Completion, HumanLabel, Prompt
from rlaif.seeds import derive_seed, numpy_generator
from rlaif.stages.attacking import WHOLE
from rlaif.stages.generation import generate, plan_units
from rlaif.stages.pools import read_pools
from rlaif.stages.rubric_testing import Labelled

ORACLE = "oracle"
BEST_LEVEL = 2
Truth = Mapping[str, float]


@dataclass(frozen=True)
class World:
    """What is judged, and what the oracle says of it.

    Attributes:
        prompts: Held out from the training of policy and judge.
        answers: Two of each prompt, as the base policy drew them.
        pairs: The two answers of each prompt, where they are not the same in other words.
        truth: By answer id, from 0 to 1: of the whole and of each criterion that the oracle knows.
    """

    prompts: Sequence[Prompt]
    answers: Sequence[Completion]
    pairs: Sequence[ComparedItem]
    truth: Mapping[str, Truth]

    def p_first(self, first: str, second: str, criterion: str = WHOLE) -> float:
        """Return 1 where the first answer is better, 0 where the second is, 0.5 for a tie."""
        return better(self.truth[first][criterion], self.truth[second][criterion])


def better(first: float, second: float) -> float:
    """Return P(first is better) of two exact grades."""
    return 0.5 if first == second else float(first > second)


def draw_world(project: Project, crew: Crew, count: int, seed: int) -> World:
    """Draw prompts, and let the base policy answer each of them twice.

    Args:
        project: Whose pool, policy and settings of generation are used.
        crew: Its models.
        count: Prompts wanted; all that are held out where there are fewer.
        seed: Source of prompts and answers.
    """
    config = crew.config
    pool = read_pools(project.root, config.sampling.pools, config.sampling.eval_share)
    held_out = [prompt for prompt in pool if prompt.split == "eval"]
    order = numpy_generator(derive_seed(seed, "prompts")).permutation(len(held_out))
    prompts = [held_out[place] for place in order[:count].tolist()]
    policy = crew.policy(project.resolve(config.policy.path))
    answers = [
        answer
        for unit in plan_units(prompts, 2, config.generation.batch_size, "answers")
        for answer in generate(
            policy,
            unit,
            config.generation,
            per_prompt=2,
            seed=derive_seed(seed, unit.name),
            names=("judge-world",),
            encode=crew.embedder().encode,
        )
    ]
    asked = [prompt for prompt in prompts for _ in range(2)]
    twos = zip(prompts, answers[::2], answers[1::2], strict=True)
    return World(
        prompts=prompts,
        answers=answers,
        pairs=[two for two in twos if two[2].duplicate_of is None],
        truth={a.id: grades(prompt.text, a) for prompt, a in zip(asked, answers, strict=True)},
    )


def grades(prompt: str, answer: Completion) -> Truth:
    """Return the exact grades of an answer, 0 to 1: of the whole, and by criterion.

    The oracle knows nothing of ``on-topic``.
    """
    found = analyse(parse_prompt(prompt).item, answer.text)
    grade = HelpDeskOracle().grade(prompt, answer.text, answer.ended)
    levels = {name: teacher.level(name, found) / BEST_LEVEL for name in teacher.criteria()}
    return {WHOLE: grade.score, **levels, "ends": float(grade.ended)}


def as_labels(world: World) -> Labelled:
    """Return the truth in the form in which humans' labels are held against a judge."""
    return Labelled(
        labels=list(_labels(world)),
        prompts={prompt.id: prompt for prompt in world.prompts},
        answers={answer.id: answer for answer in world.answers},
    )


def _labels(world: World) -> Iterator[HumanLabel]:
    for answer in world.answers:
        for criterion, value in world.truth[answer.id].items():
            yield HumanLabel(
                id=f"{answer.id} {criterion}",
                prompt_id=answer.prompt_id,
                form="rating",
                first_id=answer.id,
                value=value,
                criterion=criterion,
                rater=ORACLE,
                frozen=False,
            )
    for prompt, first, second in world.pairs:
        for criterion in world.truth[first.id]:
            yield HumanLabel(
                id=f"{first.id} {second.id} {criterion}",
                prompt_id=prompt.id,
                form="pair",
                first_id=first.id,
                second_id=second.id,
                value=world.p_first(first.id, second.id, criterion),
                criterion=criterion,
                rater=ORACLE,
                frozen=False,
            )
