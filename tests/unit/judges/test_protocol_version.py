"""The protocol's version: raised where code may change what a judge is shown, or how it is read."""

import ast
import hashlib
from pathlib import Path

from rlaif.judges import protocol

JUDGES = Path(protocol.__file__).parent
# The modules that word a question, fence what it shows, or make a verdict of a reply.
DECIDING = (
    "asking.py",
    "fencing.py",
    "lookalikes.py",
    "marked_errors.py",
    "marking.py",
    "messages.py",
    "own_words.py",
    "protocol.py",
    "quorum.py",
    "ranking.py",
    "rendering.py",
    "remote/answers.py",
    "remote/asking.py",
    "remote/reading.py",
    "samples.py",
    "second_asking.py",
    "template_folder.py",
    "verdict_forms.py",
    "wording.py",
)
DIGEST = "39ec2e907629ab441b2b49394fa5579cdcd1d78751e21620fa91b2bf018d51b9"


def without_docstrings(source: str) -> str:
    """Return a module as its tree says it: no comments, layout or docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.unparse(tree)


def digest() -> str:
    found = hashlib.sha256()
    for name in DECIDING:
        said = without_docstrings((JUDGES / name).read_text(encoding="utf-8"))
        found.update(f"{name}\n{said}\n".encode())
    return found.hexdigest()


def test_code_that_can_change_verdicts_goes_with_a_version() -> None:
    assert digest() == DIGEST, (
        "code changed that decides what a judge is shown or how its reply is read. If any verdict "
        "can differ, raise VERSION in rlaif/judges/protocol.py, so that rubrics get another hash "
        f"and old labels are kept apart. Then write the new digest into this test: {digest()}"
    )


def test_comments_layout_and_docstrings_do_not_count() -> None:
    plain = "def f(x):\n    return x + 1\n"
    told = 'def f(\n    x,\n):\n    """Add."""\n    # one more\n    return x + 1\n'
    assert without_docstrings(told) == without_docstrings(plain)
    assert without_docstrings(plain.replace("1", "2")) != without_docstrings(plain)
