"""Packages as an installer leaves them, made on the spot, and a call that their judges report."""

import itertools
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rlaif.records import JudgeCall

Install = Callable[..., str]
_numbers = itertools.count()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return ``install(group, name, code, package=..., version=..., module=...)``.

    It replaces what that package was before, and returns the module's name.
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    made: list[str] = []

    def install(
        group: str,
        name: str,
        code: str,
        package: str = "parcel",
        version: str = "1.2",
        module: str = "",
    ) -> str:
        module = module or f"rlaif_sample_{next(_numbers)}"
        sys.modules.pop(module, None)
        for old in site.glob(f"{package}-*.dist-info"):
            shutil.rmtree(old)
        (site / f"{module}.py").write_text(code, encoding="utf-8")
        info = site / f"{package}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(
            f"[{group}]\n{name} = {module}:{name}\n", encoding="utf-8"
        )
        made.append(module)
        return module

    yield install
    for module in made:
        sys.modules.pop(module, None)


def call(text: str, reply: str = "Verdict: 2") -> JudgeCall:
    return JudgeCall(
        request_hash="theirs",
        judge="theirs",
        request=text,
        reply=reply,
        label_probs={},
        prompt_tokens=1,
        reply_tokens=2,
        latency=0.5,
    )
