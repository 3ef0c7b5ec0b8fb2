"""Folders that land whole: write aside, sync, manifest of SHA-256, rename, sync the parent."""

import ctypes
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from rlaif.errors import ArtifactError

MANIFEST = "manifest.json"
NOT_THE_MODEL = frozenset({"README.md", "lineage.json", "metrics.jsonl"})
_CHUNK = 1 << 20
_AT_FDCWD = -100
_EXCHANGE = 2  # RENAME_EXCHANGE on Linux, RENAME_SWAP on macOS


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def folder_digest(folder: Path, leaving_out: Container[str] = ()) -> str:
    """Return one digest over the files of a folder (names and bytes), the manifest left out.

    Args:
        folder: The folder.
        leaving_out: Names of files at its top that do not count.

    Raises:
        ArtifactError: There is no such folder.
    """
    if not folder.is_dir():
        raise ArtifactError(f"{folder} is not a folder", "a folder of files", "check the path")
    hashes = _hash_files(folder)
    return _digest_of({name: h for name, h in hashes.items() if name not in leaving_out})


def model_folder_digest(folder: Path) -> str:
    """Return the digest of a model's folder.

    What people read about it (card, lineage, metrics) does not count: a promoted policy has the
    digest of the challenger that it was.

    Raises:
        ArtifactError: There is no such folder.
    """
    return folder_digest(folder, NOT_THE_MODEL)


@contextmanager
def landing(target: Path) -> Iterator[Path]:
    """Write a folder aside and let it land at ``target`` whole, or not at all.

    The caller fills the yielded folder. On a clean exit its files are synced, a manifest is
    written and the folder is renamed to ``target``; a folder that was there is replaced, in one
    step where the system can exchange two names (Linux, macOS). On an exception nothing is left
    behind, and what was at ``target`` stays.

    Args:
        target: Where the folder is to be.

    Yields:
        An empty folder beside ``target``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.landing")
    _remove(aside)
    aside.mkdir()
    try:
        yield aside
        write_manifest(aside)
        _move_over(aside, target)
        sync_folder(target.parent)
    finally:
        _remove(aside)


def write_manifest(folder: Path) -> None:
    """Sync every file of ``folder`` to disk and write its manifest."""
    hashes = _hash_files(folder)
    for name in hashes:
        _sync_file(folder / name)
    write_atomically(folder / MANIFEST, json.dumps(hashes, indent=1, sort_keys=True) + "\n")
    for path in (folder, *sorted(p for p in folder.rglob("*") if p.is_dir())):
        sync_folder(path)


def verify(folder: Path, digest: str | None = None) -> str:
    """Check a landed folder against its manifest, and the manifest against ``digest``.

    Args:
        folder: A folder that :func:`landing` wrote.
        digest: The digest that a ledger row vouches for, where there is one.

    Returns:
        The folder's digest.

    Raises:
        ArtifactError: A file is missing, added or changed.
    """
    recorded = _read_manifest(folder)
    found = _hash_files(folder)
    if found != recorded:
        names = sorted(set(found) ^ set(recorded)) or sorted(
            name for name in found if found[name] != recorded[name]
        )
        raise ArtifactError(
            f"{folder}: {', '.join(names)} differs from the manifest",
            "the bytes that were written",
            "restore it from a backup, or remove it and run the stage again",
        )
    seen = _digest_of(found)
    if digest is not None and seen != digest:
        raise ArtifactError(
            f"{folder} has digest {seen[:12]}",
            f"{digest[:12]}, which the ledger vouches for",
            "restore the folder that belongs to this ledger",
        )
    return seen


def write_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 text file so that readers see the old one or the new one, never half."""
    aside = path.with_name(f".{path.name}.writing")
    with aside.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)
    sync_folder(path.parent)


def point_link(link: Path, target: Path) -> None:
    """Point the symbolic link ``link`` at ``target``, relative where that lies beside or below it.

    Raises:
        ArtifactError: Something that is no link stands in its place.
    """
    refuse_no_link(link)
    link.parent.mkdir(parents=True, exist_ok=True)
    parent, target = link.parent.resolve(), target.resolve()
    shown = target.relative_to(parent) if target.is_relative_to(parent) else target
    aside = link.with_name(f".{link.name}.pointing")
    aside.unlink(missing_ok=True)
    aside.symlink_to(shown, target_is_directory=True)
    aside.replace(link)
    sync_folder(link.parent)


def refuse_no_link(link: Path) -> None:
    """Refuse a place for a link where something else stands.

    Raises:
        ArtifactError: It is a file or a folder of its own.
    """
    if link.exists() and not link.is_symlink():
        raise ArtifactError(
            f"{link} is not a symbolic link",
            "a link, or nothing there",
            "move it away: rlaif makes the link itself",
        )


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries (new names, renames) to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_manifest(folder: Path) -> dict[str, str]:
    try:
        recorded = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(recorded, dict):
            raise TypeError(f"it holds a {type(recorded).__name__}, not an object")  # noqa: TRY301 - told like the others
    except (OSError, ValueError, TypeError) as exc:
        raise ArtifactError(
            f"{folder} has no readable {MANIFEST}: {exc}",
            "a folder that was written whole",
            "restore it from a backup, or remove it and run the stage again",
        ) from exc
    return recorded


def _move_over(aside: Path, target: Path) -> None:
    """Put ``aside`` where ``target`` is; what was there, if anything, is at ``aside`` then."""
    if not os.path.lexists(target):
        aside.rename(target)
    elif not _exchange(aside, target):
        old = target.with_name(f".{target.name}.replaced")
        _remove(old)
        target.rename(old)
        try:
            aside.rename(target)
        except OSError:
            old.rename(target)
            raise
        _remove(old)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system or the filesystem cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin":
        return bool(libc.renamex_np(first, second, _EXCHANGE) == 0)
    if not hasattr(libc, "renameat2"):
        return False
    return bool(libc.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _EXCHANGE) == 0)


def _remove(path: Path) -> None:
    """Remove a folder, a file or a link (never what it points to), if there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hash_files(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / MANIFEST)
    return {p.relative_to(folder).as_posix(): file_sha256(p) for p in files}


def _digest_of(hashes: dict[str, str]) -> str:
    text = json.dumps(hashes, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
