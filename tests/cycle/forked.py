"""Processes that begin with everything imported, so that many of them cost little."""

import os
import traceback
from collections.abc import Callable

import trl.trainer.reward_trainer  # noqa: F401 - takes seconds, which each child would pay


def in_a_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a child process and return its exit status, minus the signal if killed.

    The caller has started no thread and run no model, so the child finds nothing half done.
    """
    pid = os.fork()
    if not pid:
        try:
            work()
        except BaseException:  # noqa: BLE001 - the child ends here, whatever it was
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
