"""The bundled tokenizer: byte-level BPE trained on the corpus, with a short chat template."""

from collections.abc import Iterable, Iterator

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from rlaif.bundled import teacher
from rlaif.bundled.corpus import Mixture, examples
from rlaif.bundled.facts import ANSWERS_OF_KIND
from rlaif.errors import ModelError

VOCABULARY = 1536
WORD_REPEATS = 150
CONTEXT = 512
PAD, SYSTEM, USER, ASSISTANT, END = "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
SPECIAL = (PAD, SYSTEM, USER, ASSISTANT, END)
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def training_texts(rng: np.random.Generator, count: int) -> Iterator[str]:
    """Yield texts of policy and judge to learn from, and each answer often, to be one token."""
    for _ in range(WORD_REPEATS):
        for answers in ANSWERS_OF_KIND.values():
            yield from (f" {answer}." for answer in answers)
    for example in examples(rng, count, Mixture()):
        yield f"{example.prompt.text}\n{example.completion}"
    names = list(teacher.criteria())
    for number, example in enumerate(examples(rng, count // 3, Mixture())):
        name = names[number % 3]
        lesson = teacher.rate(rng, example.prompt, example.completion, name, 0.0)
        yield f"{lesson.message}\n{lesson.reply}"
        pair = (example.completion, example.completion)
        lesson = teacher.compare(rng, example.prompt, pair, name, 0.0)
        yield f"{lesson.message}\n{lesson.reply}"


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train a tokenizer in which pad and end are different tokens and every label is one."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        model_max_length=CONTEXT,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    label_ids(tokenizer, tuple(f" {rating}" for rating in range(1, 10)))
    label_ids(tokenizer, teacher.SIDES)
    return tokenizer


def label_ids(tokenizer: PreTrainedTokenizerBase, labels: tuple[str, ...]) -> list[int]:
    """Return the one token of each verdict label as it stands after ``Verdict:``.

    Raises:
        ModelError: A label is not one token of its own there.
    """
    before = tokenizer.encode(teacher.VERDICT, add_special_tokens=False)
    found = [tokenizer.encode(teacher.VERDICT + x, add_special_tokens=False) for x in labels]
    if any(ids[:-1] != before for ids in found) or len({ids[-1] for ids in found}) < len(labels):
        raise ModelError(
            f"the verdict labels {labels} become the tokens {found} after {before}",
            "exactly one token more for each label, all different",
            "train the tokenizer on texts in which every label occurs",
        )
    return [ids[-1] for ids in found]


def question_text(prompt: str) -> str:
    """Return a prompt as the chat template renders it for generation."""
    return f"{USER}{prompt}{ASSISTANT}"
