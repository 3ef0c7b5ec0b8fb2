"""What a person should read: said each time, kept once."""

from rlaif.ledger.writer import Ledger
from rlaif.progress import Watcher

_LOOKED_BACK = 1000


def tell_once(ledger: Ledger, watcher: Watcher, kind: str, message: str, cycle: int) -> None:
    """Say something to whoever watches, and keep it as an event unless that is there already."""
    watcher.note(message)
    keep_once(ledger, kind, message, cycle)


def keep_once(ledger: Ledger, kind: str, message: str, cycle: int) -> None:
    """Keep an event unless it is there already."""
    known = ledger.events(limit=_LOOKED_BACK)
    if not any(e.kind == kind and e.message == message for e in known):
        ledger.add_event(kind, message, cycle)
