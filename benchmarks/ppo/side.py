"""How a side of the comparison talks with its parent: a line in to go on, a line of JSON out."""

import json
import os
import resource
import sys
import time

RATE = 1e-7  # of both sides; so low that answers keep their length over the updates measured


class Side:
    """One side; whatever else the process prints goes to standard error."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._start = 0.0

    def ready(self) -> None:
        """Say that everything is loaded."""
        self._say(ready=True)

    def wait(self) -> bool:
        """Wait for the parent; return whether to make another update."""
        going = sys.stdin.readline().strip() == "go"
        self._start = time.perf_counter()
        return going

    def done(self, **figures: float) -> None:
        """Tell how long the update took, and the most memory that the process has held."""
        seconds = time.perf_counter() - self._start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        self._say(seconds=seconds, peak_rss_gb=peak, **figures)

    def _say(self, **fields: float | bool) -> None:
        print(json.dumps(fields), file=self._out, flush=True)
