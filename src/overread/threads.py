"""How threads wait for each other, set before the libraries that start them are loaded."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

SPINS = 10_000
_WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def limit_spinning(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Let OpenMP threads sleep soon when they wait; return whether the setting was made.

    At the end of every parallel loop a thread of GNU OpenMP spins until the others are done, by default for up to
    300,000 iterations (about 3 ms) before it sleeps. Beside another busy program the thread that the others wait for
    has no core, because the waiting threads occupy it, and a training step takes eight times as long.
    After `SPINS` iterations a thread now sleeps.

    The libraries read the setting when they are loaded, so this is called before torch is imported and before worker
    processes, which inherit it, are started. A setting of the user is kept.

    Notes
    -----
    Measured with benchmarks/busy.py on 2 cores and small convolutions, 10,000 against the default of 300,000: alone
    the same speed (6.16 and 6.13 steps/s, medians of seven rounds), beside one busy program 2.5 times the speed (1.97
    and 0.80 steps/s). 20,000 gave 1.9 times; 3,000 gave 3.1 times, but 1,000 cost 30 % alone.

    Examples
    --------
    >>> limit_spinning({"OMP_WAIT_POLICY": "active"})
    False
    """
    if any(name in environment for name in _WAITING):
        return False
    environment["GOMP_SPINCOUNT"] = str(SPINS)
    return True
