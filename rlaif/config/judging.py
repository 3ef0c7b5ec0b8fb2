"""Settings of the judge, the rubric and the preferences that come of them."""

import re
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from rlaif.config.section import Section, Share
from rlaif.config.serving import ServerConfig
from rlaif.toml_source import LIKE_A_KEY, ContradictionError

Option = str | int | float | bool


class JudgeConfig(Section):
    """A model that critiques and compares."""

    name: str = Field(
        "",
        description="what the critique log calls it; empty: the last part of its path",
    )
    backend: str = Field(
        "transformers",
        description="transformers: the model at path, in this process; openai: the servers of "
        "[judge.server]; or the name of an installed package's judge, which gets [judge.options]",
    )
    path: str = Field(
        "bundled:tiny-judge",
        description="judge in this process: a folder, a hub id, or bundled:tiny-judge",
    )
    template: str = Field(
        "compact",
        description="folder under prompts/judge with pointwise.jinja and pairwise.jinja: "
        "compact (the bundled judge was trained on it), or for general models detailed, "
        "detailed-zh (in Chinese) or brief",
    )
    critique: bool = Field(
        True, description="whether the judge writes a critique before its verdict"
    )
    max_critique_tokens: PositiveInt = Field(
        48,
        description="tokens that a critique may take before the verdict is asked for; one before a "
        "ranking is about all its answers, and wants some 24 for each",
    )
    min_label_mass: Share = Field(
        0.5,
        description="a verdict whose labels hold less probability than this is unscored",
    )
    batch_size: PositiveInt = Field(96, description="judgements decoded, or asked for, together")
    server: ServerConfig | None = Field(
        None, description="the servers that the backend openai asks"
    )
    options: dict[str, Option] = Field(
        default_factory=dict, description="what an installed package's judge is told"
    )

    @property
    def model(self) -> str:
        """Who judges: the model at a path or on servers, or an installed package's judge."""
        if self.backend == "transformers":
            return self.path
        return self.server.model if self.backend == "openai" and self.server else self.backend

    @property
    def display_name(self) -> str:
        """What people call this judge: the same on every machine."""
        return self.name or re.split(r"[:/\\]", self.model.rstrip("/\\"))[-1]

    def check(self, *section: str | int) -> None:
        """Check that what a backend needs is there.

        Args:
            *section: Where these settings stand, for instance ``"judge"``.

        Raises:
            ContradictionError: A backend without its table, a table without its backend, or a
                template that only the bundled judge knows.
        """
        if self.backend == "openai":
            if self.server is None:
                raise ContradictionError(
                    (*section, "backend"),
                    '= "openai" without servers to ask',
                    "name them in [judge.server] endpoints, and their model",
                )
            self.server.check(*section, "server")
            if self.template == "compact":
                raise ContradictionError(
                    (*section, "template"),
                    '= "compact" is how the bundled judge is asked',
                    'take "detailed", "detailed-zh" or "brief"',
                )
        elif self.server is not None:
            raise ContradictionError(
                (*section, "backend"),
                f"= {self.backend!r} beside a table of servers",
                'set backend = "openai", or remove the table',
            )
        secret = next((name for name in self.options if LIKE_A_KEY.search(name)), None)
        if secret is not None:
            raise ContradictionError(
                (*section, "options", secret),
                "looks like a key, and settings are kept in the ledger",
                "let the judge read it from the environment or a file of its own",
            )
        if self.options and self.backend in {"openai", "transformers"}:
            raise ContradictionError(
                (*section, "options"), f"are not for the backend {self.backend!r}", "remove them"
            )


class RubricConfig(Section):
    """What good means."""

    path: str = Field("prompts/rubrics/helpdesk.toml", description="the rubric file")
    python: str = Field(
        "off",
        description="your Python file with the functions of python criteria, or off; it is run",
    )


class EmbedderConfig(Section):
    """The sentence-transformers model behind coverage, duplicates and embedding criteria."""

    path: str = Field("bundled:tiny-embedder", description="a folder, a hub id, or a bundled one")


class JudgingConfig(Section):
    """How completions are judged."""

    compare: Literal["pairs", "lists"] = Field(
        "pairs",
        description="how a prompt's answers are compared: two at a time, or as one list that the "
        "judge ranks (needs a template with listwise.jinja: detailed, detailed-zh or brief, and a "
        "judge that can write a ranking, which the bundled one cannot)",
    )
    pairs_per_prompt: PositiveInt = Field(
        1, description='pairs compared per prompt where compare = "pairs"'
    )
    list_size: Annotated[int, Field(ge=3, le=9)] = Field(
        5, description='answers ranked at once, at most, where compare = "lists"'
    )
    list_orders: Annotated[int, Field(ge=2, le=8)] = Field(
        2,
        description="orders in which a list is shown: drawn by chance, every second one the "
        "reverse of the one before it, so that an even number cancels position bias",
    )
    list_min_tau: Annotated[float, Field(ge=-1.0, le=1.0)] = Field(
        0.2,
        description="quarantine a list whose orders' rankings agree less than this (Kendall's "
        "tau: 1 the same, 0 chance, -1 reversed)",
    )
    pairwise_weight: Share = Field(
        0.5, description="weight of the judge's own pairwise probability in P(first better)"
    )
    score_temperature: PositiveFloat = Field(
        0.15, description="P(first better) = sigmoid((score1 - score2) / score_temperature)"
    )
    clamp: Annotated[float, Field(ge=0.0, lt=0.5)] = Field(
        0.0,
        description="the judge's own pairwise probability is kept within clamp and 1 - clamp; "
        "Constitutional AI takes 0.4 after a chain of thought",
    )
    combine: Literal["mean", "majority", "dawid_skene"] = Field(
        "mean",
        description="how the verdicts of several judges become one; dawid_skene learns from their "
        "votes how each errs, and is the mean where fewer than 64 were asked together",
    )
    max_disagreement: Share = Field(
        0.5,
        description="quarantine a pair on which several judges are further apart than this, in "
        "bits (Jensen-Shannon divergence: two that are sure of opposite sides are 1 bit apart), "
        "all criteria together; and an answer on which they are, on whether a single veto is "
        "broken",
    )
    max_rating_distance: Share = Field(
        0.5,
        description="quarantine an answer whose ratings by several judges are further apart than "
        "this, in shares of the scale (two at its ends are 1 apart, two a grade apart on a scale "
        "of nine 0.125), all criteria together",
    )
    outlier_distance: Share = Field(
        0.5,
        description="quarantine what one of three judges or more stands alone on under any "
        "criterion: further than this from every other, while no two others are so far apart "
        "(compared: between their probabilities; rated: in shares of the scale); 1: never",
    )
    mark_errors: bool = Field(
        False,
        description="whether a judge marks, in the words of each answer that it rates below the "
        "best, what is wrong with it",
    )
    max_feedback_tokens: PositiveInt = Field(
        256,
        description="judge's tokens that the errors marked in one answer may take, or a critique "
        "that is graded in a call of its own",
    )
    flip_threshold: Share = Field(
        0.0,
        description="quarantine when the two orders' P(first better) fall on different sides of "
        "0.5 and differ by more than this: 0 holds back every pair that flips, 1 none; in a list, "
        "between the rankings in which one was shown first and those in which the other was",
    )


class RevisionConfig(Section):
    """The judge mends weak answers in the light of its critiques, as in Constitutional AI.

    What it then prefers to the original, in both orders, becomes a preference.
    """

    share: Share = Field(
        0.0,
        description="share of a cycle's training prompts whose weakest scored answer is revised; "
        "0: none",
    )
    critiques: Literal["drawn", "all"] = Field(
        "drawn",
        description="drawn: a revision is shown one critique, drawn by how low its rating is; "
        "all: every critique whose rating is not the best",
    )
    max_tokens: PositiveInt = Field(
        256, description="judge's tokens that a revision may take; longer ones are dropped"
    )
    min_margin: Annotated[float, Field(ge=0.0, lt=0.5)] = Field(
        0.1,
        description="a revision is confirmed where P(better than the original) is this much over "
        "0.5 in both orders, and with the ratings",
    )


class PreferencesConfig(Section):
    """Which judged pairs become training data."""

    min_margin: Share = Field(0.05, description="pairs with |P - 0.5| below this, or 0, are ties")
    uncompared: Literal["ratings", "drop"] = Field(
        "ratings",
        description="pairs that were rated but not compared: labelled from the ratings, or dropped",
    )
    earlier_rubrics: Literal["drop", "train"] = Field(
        "drop",
        description="labels of earlier cycles under another rubric, judge or template: dropped, or "
        "replayed in training like those of this one; they never measure",
    )
    labels: Literal["soft", "hard"] = Field(
        "soft", description="soft: P(first better) itself; hard: 1 or 0, as if it were sure"
    )
    ties: Literal["drop", "keep"] = Field("drop", description="drop ties, or keep them as 0.5")
    heldout_share: Share = Field(
        0.15, description="share of prompts whose pairs only measure the reward model"
    )
