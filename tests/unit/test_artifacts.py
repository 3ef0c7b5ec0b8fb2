"""Folders that land whole: nothing half-written is ever where a reader looks."""

import json
import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from rlaif import artifacts
from rlaif.artifacts import (
    MANIFEST,
    file_sha256,
    folder_digest,
    landing,
    point_link,
    verify,
    write_atomically,
    write_manifest,
)
from rlaif.errors import ArtifactError

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ABC_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def land(target: Path, **files: str) -> str:
    with landing(target) as folder:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    return verify(target)


def in_child(work: Callable[[], None]) -> int | None:
    """Run ``work`` in a forked child; return its exit code, or minus the signal that ended it."""
    child = get_context("fork").Process(target=work)
    child.start()
    child.join()
    return child.exitcode


def killing_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Die by SIGKILL just before the ``step``-th change that reaches the disk."""
    left = [step]

    def fatal(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        return wrapped

    for owner, name in (
        (os, "fsync"),
        (os, "rename"),
        (os, "replace"),
        (os, "unlink"),
        (os, "rmdir"),
        (artifacts, "_exchange"),
    ):
        monkeypatch.setattr(owner, name, fatal(getattr(owner, name)))


@pytest.mark.parametrize(("content", "expected"), [("", EMPTY_SHA256), ("abc", ABC_SHA256)])
def test_file_digests_are_the_published_ones(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "file").write_text(content, encoding="utf-8")
    assert file_sha256(tmp_path / "file") == expected


def test_a_file_larger_than_one_read_is_hashed_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (1 << 20) + b"1")
    (tmp_path / "b").write_bytes(b"x" * (1 << 20) + b"2")
    assert file_sha256(tmp_path / "a") != file_sha256(tmp_path / "b")


def test_a_landed_folder_holds_its_files_and_an_exact_manifest(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "artifact"
    with landing(target) as folder:
        assert folder.parent == target.parent
        assert not target.exists()
        (folder / "weights").write_text("abc", encoding="utf-8")
        (folder / "sub").mkdir()
        (folder / "sub" / "empty").touch()
    recorded = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    assert recorded == {"weights": ABC_SHA256, "sub/empty": EMPTY_SHA256}
    assert [p.name for p in target.parent.iterdir()] == ["artifact"]


def test_the_digest_depends_on_names_and_bytes_alone(tmp_path: Path) -> None:
    one = land(tmp_path / "one", a="1", b="2")
    assert land(tmp_path / "other", b="2", a="1") == one
    assert land(tmp_path / "bytes", a="1", b="3") != one
    assert land(tmp_path / "names", a="1", c="2") != one
    assert land(tmp_path / "swapped", a="2", b="1") != one
    assert folder_digest(tmp_path / "one") == one


def test_a_missing_folder_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not a folder"):
        folder_digest(tmp_path / "nowhere")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing_behind_and_keeps_what_was_there(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "artifact"
    before = land(target, a="old")

    def fail() -> None:
        with landing(target) as folder:
            (folder / "a").write_text("half", encoding="utf-8")
            raise error

    with pytest.raises(error):
        fail()
    assert verify(target) == before
    assert [p.name for p in tmp_path.iterdir()] == ["artifact"]


def test_landing_replaces_the_whole_folder(tmp_path: Path) -> None:
    target = tmp_path / "artifact"
    land(target, a="old", gone="old")
    new = land(target, a="new")
    assert verify(target, new) == new
    assert sorted(p.name for p in target.iterdir()) == ["a", MANIFEST]
    assert [p.name for p in tmp_path.iterdir()] == ["artifact"]


def test_landing_clears_what_a_killed_process_left(tmp_path: Path) -> None:
    stale = tmp_path / ".artifact.landing"
    stale.mkdir()
    (stale / "half").write_text("half", encoding="utf-8")
    land(tmp_path / "artifact", a="1")
    assert sorted(p.name for p in (tmp_path / "artifact").iterdir()) == ["a", MANIFEST]


def test_landing_over_a_link_replaces_the_link_and_spares_its_target(tmp_path: Path) -> None:
    spared = land(tmp_path / "elsewhere", a="keep")
    (tmp_path / "artifact").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    land(tmp_path / "artifact", a="new")
    assert not (tmp_path / "artifact").is_symlink()
    assert verify(tmp_path / "elsewhere") == spared


def test_killed_at_any_step_the_old_folder_or_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "artifact"
    seen = set()
    for step in range(1, 100):
        old = land(target, a="old", b="old")

        def work(step: int = step) -> None:
            killing_at(monkeypatch, step)
            land(target, a="new")

        signalled = in_child(work)
        seen.add(verify(target) == old)
        assert land(target, a="next") == land(tmp_path / "clean", a="next")
        leftovers = {p.name for p in tmp_path.iterdir()} - {"artifact", "clean"}
        assert leftovers == set()
        if signalled == 0:
            break
        assert signalled == -signal.SIGKILL
    assert step > 6
    assert seen == {True, False}


def test_killed_at_any_step_of_a_first_landing_there_is_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    for step in range(1, 100):
        target = tmp_path / f"artifact-{step}"

        def work(step: int = step, target: Path = target) -> None:
            killing_at(monkeypatch, step)
            land(target, a="new", b="new")

        signalled = in_child(work)
        if target.exists():
            verify(target)
        seen.add(target.exists())
        if signalled == 0:
            break
    assert seen == {True, False}


def test_without_an_exchange_of_names_a_failed_replacement_puts_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "artifact"
    old = land(target, a="old")
    monkeypatch.setattr(artifacts, "_exchange", lambda _one, _other: False)
    new = land(target, a="new")
    assert new != old
    rename = Path.rename

    def refuse_landing(self: Path, other: Path) -> Path:
        if self.name.endswith(".landing"):
            raise OSError("no room")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", refuse_landing)
    with pytest.raises(OSError, match="no room"):
        land(target, a="newer")
    assert verify(target) == new
    assert [p.name for p in tmp_path.iterdir()] == ["artifact"]


def test_files_and_folders_are_synced_before_the_folder_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def note_sync(descriptor: int) -> None:
        order.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def note_rename(self: Path, other: Path) -> Path:
        order.append("RENAME")
        return rename(self, other)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to name open files")
    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    with landing(tmp_path / "artifact") as folder:
        (folder / "outer" / "inner").mkdir(parents=True)
        (folder / "outer" / "inner" / "file").write_text("x", encoding="utf-8")
    before, after = order[: order.index("RENAME")], order[order.index("RENAME") + 1 :]
    assert {"file", "inner", "outer", ".artifact.landing"} <= set(before)
    assert f".{MANIFEST}.writing" in before
    assert before.index("file") < before.index(f".{MANIFEST}.writing") < before.index("inner")
    assert after == [tmp_path.name]


def change_a_byte(folder: Path) -> None:
    data = bytearray((folder / "weights").read_bytes())
    data[1] ^= 1
    (folder / "weights").write_bytes(bytes(data))


def remove_a_file(folder: Path) -> None:
    (folder / "weights").unlink()


def add_a_file(folder: Path) -> None:
    (folder / "extra").touch()


def change_a_nested_manifest(folder: Path) -> None:
    (folder / "sub" / MANIFEST).write_text("{}", encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (change_a_byte, "weights"),
        (remove_a_file, "weights"),
        (add_a_file, "extra"),
        (change_a_nested_manifest, f"sub/{MANIFEST}"),
    ],
)
def test_any_change_is_found_and_named(
    tmp_path: Path, damage: Callable[[Path], None], named: str
) -> None:
    target = tmp_path / "artifact"
    with landing(target) as folder:
        (folder / "weights").write_text("abc", encoding="utf-8")
        (folder / "config").write_text("{}", encoding="utf-8")
        (folder / "sub").mkdir()
        (folder / "sub" / MANIFEST).write_text("{ }", encoding="utf-8")
    damage(target)
    with pytest.raises(ArtifactError, match=named) as caught:
        verify(target)
    assert "config" not in caught.value.seen


def test_a_whole_folder_that_the_ledger_does_not_vouch_for_is_refused(tmp_path: Path) -> None:
    vouched = land(tmp_path / "artifact", a="1")
    (tmp_path / "artifact" / "a").write_text("2", encoding="utf-8")
    write_manifest(tmp_path / "artifact")
    assert verify(tmp_path / "artifact") != vouched
    with pytest.raises(ArtifactError, match=vouched[:12]):
        verify(tmp_path / "artifact", vouched)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "5", "\udcff"])
def test_a_broken_manifest_is_told_as_such(tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "artifact"
    folder.mkdir()
    if content is not None:
        (folder / MANIFEST).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ArtifactError, match="no readable manifest"):
        verify(folder)


def test_text_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old\n")
    for step in range(1, 20):

        def work(step: int = step) -> None:
            killing_at(monkeypatch, step)
            write_atomically(path, "new, 更新\n")

        signalled = in_child(work)
        assert path.read_text(encoding="utf-8") in {"old\n", "new, 更新\n"}
        if signalled == 0:
            break
    assert step > 2
    assert path.read_bytes() == "new, 更新\n".encode()


def test_a_link_inside_a_tree_is_relative_so_that_the_tree_can_move(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "policies" / "v0001").mkdir(parents=True)
    link = project / "policies" / "current"
    point_link(link, project / "policies" / "v0001")
    assert link.readlink() == Path("v0001")
    project.rename(tmp_path / "moved")
    moved = tmp_path / "moved" / "policies"
    assert (moved / "current").resolve() == (moved / "v0001").resolve()


def test_a_link_to_elsewhere_is_absolute_and_can_be_pointed_again(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "policies" / "current"
    point_link(link, tmp_path / "elsewhere")
    assert link.readlink() == (tmp_path / "elsewhere").resolve()
    (tmp_path / "policies" / "v0002").mkdir()
    point_link(link, tmp_path / "policies" / "v0002")
    assert link.readlink() == Path("v0002")
    assert sorted(p.name for p in link.parent.iterdir()) == ["current", "v0002"]


def test_a_link_reached_through_another_link_points_to_the_right_place(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "real" / "v0001").mkdir(parents=True)
    (tmp_path / "short").symlink_to(tmp_path / "a" / "b" / "real")
    point_link(tmp_path / "short" / "current", tmp_path / "a" / "b" / "real" / "v0001")
    assert (tmp_path / "short" / "current").resolve() == tmp_path / "a" / "b" / "real" / "v0001"


def test_a_folder_in_the_place_of_the_link_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    (tmp_path / "current" / "precious").touch()
    with pytest.raises(ArtifactError, match="not a symbolic link"):
        point_link(tmp_path / "current", tmp_path / "v0001")
    assert (tmp_path / "current" / "precious").exists()


def test_killed_while_pointing_the_link_leads_to_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("v0001", "v0002"):
        (tmp_path / name).mkdir()
    link = tmp_path / "current"
    seen = set()
    for step in range(1, 20):
        point_link(link, tmp_path / "v0001")

        def work(step: int = step) -> None:
            killing_at(monkeypatch, step)
            point_link(link, tmp_path / "v0002")

        signalled = in_child(work)
        seen.add(link.resolve().name)
        if signalled == 0:
            break
    assert seen == {"v0001", "v0002"}
