"""The oracle: the exact grader of the help desk. It measures; nothing that trains may import it.

Score = 0.4 correctness (half for a decline without the alternative)
      + 0.3 tone (courteous 1, plain 1/2, rude 0)
      + 0.15 concise + 0.15 ended.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rlaif.bundled.analysis import analyse
from rlaif.bundled.grammar import parse_prompt

CORRECT_WEIGHT = 0.4
TONE_WEIGHT = 0.3
CONCISE_WEIGHT = 0.15
ENDED_WEIGHT = 0.15
TONE_VALUE = {"courteous": 1.0, "plain": 0.5, "rude": 0.0}


class OracleGrade(BaseModel):
    """The exact grade of one answer.

    Attributes:
        score: From 0 to 1, the sum described at the top of this module.
        correct: Right in full; a decline without the alternative is not.
        tone: How it is said.
        concise: At most twenty words.
        ended: The end token came, after a full stop or an exclamation mark.
        good: Correct, courteous, concise and ended.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: float = Field(ge=0.0, le=1.0)
    correct: bool
    tone: Literal["courteous", "plain", "rude"]
    concise: bool
    ended: bool
    good: bool


class HelpDeskOracle:
    """Grades an answer from the texts of prompt and answer alone."""

    def grade(self, prompt: str, completion: str, ended: bool) -> OracleGrade:
        """Grade one answer.

        Args:
            prompt: The prompt's text, as the grammar made it.
            completion: Any text at all.
            ended: Whether the policy closed its answer with the end token.

        Raises:
            UnknownPromptError: The prompt is not of this world (also a ``KeyError``).
        """
        found = analyse(parse_prompt(prompt).item, completion)
        closed = ended and found.closed
        score = (
            CORRECT_WEIGHT * found.correctness
            + TONE_WEIGHT * TONE_VALUE[found.tone] * bool(completion.strip())
            + CONCISE_WEIGHT * found.concise
            + ENDED_WEIGHT * closed
        )
        good = found.correctness == 1 and found.tone == "courteous" and found.concise and closed
        return OracleGrade.model_validate(
            {
                "score": min(1.0, round(score, 6)),
                "correct": found.correctness == 1,
                "tone": found.tone,
                "concise": found.concise,
                "ended": closed,
                "good": good,
            }
        )
