"""What the HTTP libraries log, without keys: at DEBUG they repeat what a server sent."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rlaif.config.secrets import Secret

LIBRARIES = ("httpcore2", "httpx2", "openai", "anyio")


class _Redacting(logging.Filter):
    def __init__(self, key: Secret) -> None:
        super().__init__()
        self._key = key

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._key.redact(record.getMessage()), None
        return True


@contextmanager
def redacted_logs(key: Secret | None) -> Iterator[None]:
    """Take a key out of what the libraries log meanwhile."""
    if key is None:
        yield
        return
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in LIBRARIES]
    loggers = [logging.getLogger(name) for name in names]
    redacting = _Redacting(key)
    for logger in loggers:
        logger.addFilter(redacting)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(redacting)
