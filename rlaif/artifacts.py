"""Folders that land whole: write aside, sync, manifest of SHA-256, rename, sync the parent."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlaif.errors import ArtifactError

MANIFEST = "manifest.json"
_CHUNK = 1 << 20


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """Return one digest over all files of a folder (names and bytes), the manifest left out."""
    return _digest_of(_hash_files(folder))


@contextmanager
def landing(target: Path) -> Iterator[Path]:
    """Write a folder aside and let it land at ``target`` whole, or not at all.

    The caller fills the yielded folder. On a clean exit its files are synced, a manifest is
    written and the folder is renamed to ``target``; a folder that was there is replaced. On an
    exception nothing is left behind.

    Args:
        target: Where the folder is to be.

    Yields:
        An empty folder beside ``target``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.landing")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        yield aside
        write_manifest(aside)
        if target.exists():
            old = target.with_name(f".{target.name}.replaced")
            shutil.rmtree(old, ignore_errors=True)
            target.rename(old)
            aside.rename(target)
            shutil.rmtree(old)
        else:
            aside.rename(target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def write_manifest(folder: Path) -> None:
    """Sync every file of ``folder`` to disk and write its manifest."""
    hashes = _hash_files(folder)
    for name in hashes:
        _sync_file(folder / name)
    write_atomically(folder / MANIFEST, json.dumps(hashes, indent=1, sort_keys=True) + "\n")
    for path in sorted({(folder / name).parent for name in hashes} | {folder}):
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
    try:
        recorded = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ArtifactError(
            f"{folder} has no readable {MANIFEST}: {exc}",
            "a folder that was written whole",
            "restore it from a backup, or remove it and run the stage again",
        ) from exc
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
    """Point the symbolic link ``link`` at ``target`` (relative where they share a parent)."""
    link.parent.mkdir(parents=True, exist_ok=True)
    shown = Path(os.path.relpath(target, link.parent)) if _same_tree(link, target) else target
    aside = link.with_name(f".{link.name}.pointing")
    aside.unlink(missing_ok=True)
    aside.symlink_to(shown, target_is_directory=True)
    aside.replace(link)
    sync_folder(link.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries (new names, renames) to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _same_tree(link: Path, target: Path) -> bool:
    return target.resolve().is_relative_to(link.parent.resolve())


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hash_files(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    return {p.relative_to(folder).as_posix(): file_sha256(p) for p in files}


def _digest_of(hashes: dict[str, str]) -> str:
    text = json.dumps(hashes, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
