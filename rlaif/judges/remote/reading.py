r"""Label probabilities, read at the very token that is the label.

The token is found by its place: the tokens' bytes, put end to end, hold the reply, and the reply
holds the label on its verdict line. It must be the label and nothing else but white space, so that
no label is read off a piece of another word. All spellings of a label among the alternatives
(``A``, `` A``, ``A\n``) are added up.

Servers list the likeliest alternatives only. What they leave out holds at most ``1 - listed``
together, and each at most as much as the least that is listed. A label that is not listed gets that
bound (an even share of the rest, or the least listed, whichever is less), which draws the verdict
towards doubt and never away from it; where the rest is over ``MAX_UNLISTED`` the bound says too
little, and the log-probs count as missing.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

MAX_UNLISTED = 0.05
_ROUNDING = 1e-3
_LOWEST = -1e4  # its exponential is 0


def label_probs(
    content: str, tokens: Sequence[Any], place: tuple[int, int], spoken: Mapping[str, str]
) -> dict[str, float] | None:
    """Read the probability of each label where the reply says its verdict.

    Args:
        content: The reply.
        tokens: Its tokens with log-probs and alternatives, as OpenAI's ``logprobs.content`` has
            them. They may go on before the reply (reasoning) and after it (an end token).
        place: Where the label begins and ends in ``content``, in characters.
        spoken: What the judge may write, with the label that it means.

    Returns:
        Probabilities that sum to 1 at most; None where they cannot be had: the tokens are not
        those of the reply, no token is the label, the numbers are no log-probs, or too much is
        left out.
    """
    pieces = [_bytes_of(token) for token in tokens]
    if None in pieces:
        return None
    found = _token_at(content, [piece for piece in pieces if piece is not None], place)
    if found is None:
        return None
    alternatives = _alternatives(tokens[found])
    return None if alternatives is None else _added_up(alternatives, spoken)


def _token_at(content: str, pieces: Sequence[bytes], place: tuple[int, int]) -> int | None:
    """Return which token is the characters at a place and nothing else but white space."""
    start = b"".join(pieces).rfind(content.encode("utf-8"))
    if start < 0:
        return None
    begin = start + len(content[: place[0]].encode("utf-8"))
    label = content[slice(*place)].encode("utf-8")
    at = 0
    for index, piece in enumerate(pieces):
        if at <= begin < at + len(piece):
            same = piece.strip() == label and begin == at + piece.index(label)
            return index if same else None
        at += len(piece)
    return None


def _alternatives(token: Any) -> list[tuple[bytes, float]] | None:  # noqa: ANN401 - any JSON
    """List a token and its alternatives with their probabilities, each spelling once."""
    listed = token.get("top_logprobs")
    if not isinstance(listed, list) or not listed:
        return None
    found: dict[bytes, float] = {}
    for one in [*listed, token]:
        text = _bytes_of(one)
        probability = None if text is None else _probability(one.get("logprob"))
        if text is None or probability is None:
            return None
        if one is token and text in found:
            continue
        found[text] = found.get(text, 0.0) + probability
    return list(found.items())


def _added_up(
    alternatives: Sequence[tuple[bytes, float]], spoken: Mapping[str, str]
) -> dict[str, float] | None:
    listed = math.fsum(probability for _, probability in alternatives)
    if listed > 1.0 + _ROUNDING:
        return None
    rest = max(0.0, 1.0 - listed)
    probs: dict[str, float] = {}
    for word, label in spoken.items():
        own = [p for text, p in alternatives if text.strip() == word.encode("utf-8")]
        if own:
            probs[label] = min(1.0, probs.get(label, 0.0) + math.fsum(own))
    labels = dict.fromkeys(spoken.values())
    missing = [label for label in labels if label not in probs]
    if missing and rest > MAX_UNLISTED:
        return None
    least = min(probability for _, probability in alternatives)
    bound = min(least, rest / len(missing)) if missing else 0.0
    return {label: probs.get(label, bound) for label in labels}


def _bytes_of(token: Any) -> bytes | None:  # noqa: ANN401 - any JSON value
    """Return a token's bytes, which alone say what half a character is; else those of its text."""
    if not isinstance(token, dict):
        return None
    listed = token.get("bytes")
    if isinstance(listed, list):
        whole = all(type(one) is int and 0 <= one <= 255 for one in listed)
        return bytes(listed) if whole else None
    text = token.get("token")
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else None


def _probability(log_prob: Any) -> float | None:  # noqa: ANN401 - any JSON value
    if type(log_prob) not in {int, float} or log_prob != log_prob or log_prob > _ROUNDING:
        return None
    return math.exp(min(max(log_prob, _LOWEST), 0.0))
