"""Trains ``policies/tiny-judge``: it starts from the policy and learns the teacher's lessons.

The lessons are about answers of the grammar and about the trained policy's own samples, all on
prompts of the train split, and about broken answers (empty, repeated, shuffled).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from rlaif.bundled import teacher
from rlaif.bundled.corpus import GOOD, LATE, Mixture, answer, core_answer, train_prompts
from rlaif.bundled.grammar import ITEMS, Prompt
from rlaif.bundled.tokens import label_ids, question_text
from rlaif.bundled.train_policy import sample
from rlaif.bundled.training import Schedule, Sequence, fit
from rlaif.bundled.trees import merge, tree_loss
from rlaif.seeds import derive_seed, numpy_generator, torch_generator

SCHEDULE = Schedule(examples=24_000, batch=6, peak=2e-3, warm_up=150)
NOISE = 0.04
SAMPLES_PER_ITEM = 16
COMPARED = {"correct": 1.0, "courteous": 0.6, "concise": 0.5}
RATED = {"correct": 0.6, "courteous": 0.3, "concise": 0.3}
LONGEST = 480


@dataclass(frozen=True)
class Answered:
    """One prompt of the train split with the policy's own answers to it."""

    prompt: Prompt
    answers: tuple[str, str]


def policy_answers(
    policy: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, seed: int
) -> dict[str, list[Answered]]:
    """Sample the policy on train prompts: pairs of answers per prompt, by item key."""
    rng = numpy_generator(derive_seed(seed, "judge", "prompts"))
    prompts = [
        listed[int(rng.integers(len(listed)))]
        for listed in train_prompts().values()
        for _ in range(SAMPLES_PER_ITEM // 2)
    ]
    generator = torch_generator(derive_seed(seed, "judge", "samples"))
    texts = [prompt.text for prompt in prompts for _ in range(2)]
    said = sample(policy, tokenizer, texts, generator)
    found: dict[str, list[Answered]] = {item.key: [] for item in ITEMS}
    for number, prompt in enumerate(prompts):
        pair = (said[2 * number][0], said[2 * number + 1][0])
        found[prompt.item.key].append(Answered(prompt, pair))
    return found


def broken(rng: np.random.Generator, text: str) -> str:
    """Break an answer: empty it, repeat it, shuffle its words, or keep a piece of it."""
    pieces = text.split()
    kind = int(rng.integers(4))
    if kind == 0:
        return ""
    if kind == 1:
        return " ".join([text] * int(rng.integers(2, 4)))
    if kind == 2:
        return " ".join(pieces[i] for i in rng.permutation(len(pieces)))
    return " ".join(pieces[: int(rng.integers(1, len(pieces) + 1))])


def _made(rng: np.random.Generator, prompt: Prompt) -> str:
    """Make an answer of the grammar, often a bare, a good or a late one, seldom a broken one."""
    draw = rng.random()
    if draw < 0.25:
        return core_answer(rng, prompt.item, bool(rng.random() < 0.6))
    mix = GOOD if draw < 0.35 else LATE if draw < 0.6 else Mixture()
    text = answer(rng, prompt.item, mix)[0]
    return broken(rng, text) if rng.random() < 0.06 else text


def _case(
    rng: np.random.Generator, sampled: dict[str, list[Answered]]
) -> tuple[Prompt, tuple[str, str]]:
    """Draw a prompt and two answers, in a third of the cases the policy's own."""
    item = ITEMS[int(rng.integers(len(ITEMS)))]
    if rng.random() < 0.35:
        own = sampled[item.key][int(rng.integers(len(sampled[item.key])))]
        return own.prompt, own.answers
    prompts = train_prompts()[item.key]
    prompt = prompts[int(rng.integers(len(prompts)))]
    return prompt, (_made(rng, prompt), _made(rng, prompt))


def lessons(
    rng: np.random.Generator, sampled: dict[str, list[Answered]], cases: int
) -> Iterator[list[teacher.Lesson]]:
    """Yield, for each of ``cases`` pairs of answers, lessons on the pair and on its first answer.

    Which criteria are asked about is drawn; correctness, the hardest, is asked about most.
    """
    for _ in range(cases):
        prompt, pair = _case(rng, sampled)
        found = [
            teacher.compare(rng, prompt, pair, name, NOISE)
            for name, share in COMPARED.items()
            if rng.random() < share
        ]
        found += [
            teacher.rate(rng, prompt, pair[0], name, NOISE)
            for name, share in RATED.items()
            if rng.random() < share
        ]
        yield found


def judge_sequence(tokenizer: PreTrainedTokenizerBase, lesson: teacher.Lesson) -> Sequence:
    """Return the token ids of a lesson, with weight on critique and verdict only."""
    asked = tokenizer.encode(question_text(lesson.message), add_special_tokens=False)
    said = tokenizer.encode(lesson.reply, add_special_tokens=False)
    said.append(int(tokenizer.eos_token_id or 0))
    return Sequence(asked + said, [0.0] * len(asked) + [1.0] * len(said))


def train_judge(
    policy: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    say: Callable[[str], None],
    schedule: Schedule = SCHEDULE,
) -> LlamaForCausalLM:
    """Turn ``policy``, in place, into the judge, on ``schedule.examples`` pairs of answers."""
    label_ids(tokenizer, teacher.RATINGS)
    label_ids(tokenizer, teacher.SIDES)
    sampled = policy_answers(policy, tokenizer, seed)
    rng = numpy_generator(derive_seed(seed, "judge", "lessons"))
    made = (
        merge([judge_sequence(tokenizer, lesson) for lesson in found])
        for found in lessons(rng, sampled, schedule.examples)
    )
    trees = (tree for tree in made if len(tree.ids) <= LONGEST)
    order = numpy_generator(derive_seed(seed, "judge", "order"))
    fit(policy.train(), trees, tree_loss, schedule, order, say)
    policy.eval()
    return policy
