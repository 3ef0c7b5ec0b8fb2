"""Which policy is live: the ledger says it, the link ``policies/current`` follows."""

from pathlib import Path

from rlaif.artifacts import point_link, refuse_no_link
from rlaif.errors import UsageError
from rlaif.ledger.puts import PromotionKind
from rlaif.ledger.reads import LedgerReads
from rlaif.ledger.rows import PolicyRow
from rlaif.ledger.writer import Ledger
from rlaif.project import Project

BASE = "v0000"
CURRENT = "current"


def version_name(number: int) -> str:
    """Return a policy's version, such as ``v0003``."""
    return f"v{number:04d}"


def next_version(reads: LedgerReads) -> str:
    """Return the version that the next promoted policy gets."""
    return version_name(1 + max((int(p.version[1:]) for p in reads.policies()), default=-1))


def policy_path(project: Project, policy: PolicyRow) -> str:
    """Return what ``from_pretrained`` takes for a policy: a folder, or a hub id."""
    return project.resolve(policy.path)


def previous_policy(reads: LedgerReads) -> str:
    """Return the version that was live before the current one.

    Raises:
        UsageError: Nothing was ever promoted.
    """
    line = _line_of_descent(reads)
    if len(line) < 2:
        raise UsageError(
            "there is no earlier policy to go back to",
            "at least one promotion",
            "see 'rlaif policy list'",
        )
    return line[-2]


def promote_policy(project: Project, version: str, reason: str, kind: PromotionKind) -> None:
    """Make a known policy the live one: a ledger row, then the link.

    Raises:
        UsageError: There is no such policy.
        ArtifactError: Something that is no link stands at ``policies/current``; nothing changed.
    """
    refuse_no_link(project.policies / CURRENT)
    with Ledger.open(project.ledger_path) as ledger:
        if ledger.policy(version) is None:
            known = ", ".join(p.version for p in ledger.policies()) or "none yet"
            raise UsageError(
                f"there is no policy {version!r}", f"one of: {known}", "see 'rlaif policy list'"
            )
        ledger.promote(version, reason, kind)
        point_current(project, ledger)


def reconcile_link(project: Project, ledger: Ledger) -> str | None:
    """Make ``policies/current`` agree with the ledger.

    Returns:
        What was mended, in words, also recorded as an event; None where they agreed.
    """
    link = project.policies / CURRENT
    before = str(link.resolve()) if link.is_symlink() else None
    live, wanted = ledger.current_policy(), _live_folder(project, ledger)
    if live is None or before == (None if wanted is None else str(wanted)):
        return None
    point_current(project, ledger)
    if before is None and len(ledger.promotions()) <= 1:
        return None
    shown = "was missing" if before is None else f"pointed to {Path(before).name}"
    message = f"policies/{CURRENT} {shown}; the ledger says {live.version}, and the ledger wins"
    ledger.add_event("link-mended", message)
    return message


def point_current(project: Project, reads: LedgerReads) -> None:
    """Point ``policies/current`` at the live policy; a hub id has no folder, hence no link."""
    link, folder = project.policies / CURRENT, _live_folder(project, reads)
    if folder is not None:
        point_link(link, folder)
    elif link.is_symlink():
        link.unlink()


def _live_folder(project: Project, reads: LedgerReads) -> Path | None:
    live = reads.current_policy()
    if live is None:
        return None
    folder = Path(policy_path(project, live))
    return folder.resolve() if folder.is_dir() else None


def _line_of_descent(reads: LedgerReads) -> list[str]:
    """Return the live versions in order, a rollback undoing what came after its target."""
    line: list[str] = []
    for promotion in reads.promotions():
        if promotion.kind == "rollback" and promotion.version in line:
            line = line[: line.index(promotion.version) + 1]
        elif not line or line[-1] != promotion.version:
            line.append(promotion.version)
    return line
