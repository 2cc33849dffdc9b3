"""How threads wait for each other, set before the libraries that start them are loaded."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

SPINS = 30_000
_WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def limit_spinning(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Let OpenMP threads sleep soon when they wait; return whether the setting was made.

    At the end of every parallel loop a thread of GNU OpenMP spins until the others are done, by default for several
    billion iterations while there are as many cores as threads. Beside another busy program the thread that the others
    wait for has no core, because the waiting threads occupy it, and a training step takes ten times as long.
    After `SPINS` iterations a thread now sleeps.

    The libraries read the setting when they are loaded, so this is called before torch is imported and before worker
    processes, which inherit it, are started. A setting of the user is kept.

    Notes
    -----
    `SPINS` lies between two measured settings, on 2 cores and small convolutions: 100,000 spins cost nothing alone and
    gave 2.5 times the speed beside one busy program; 10,000 cost 5 % alone and gave 3.6 times. The value itself is to
    be confirmed with benchmarks/busy.py on an idle machine.

    Examples
    --------
    >>> limit_spinning({"OMP_WAIT_POLICY": "active"})
    False
    """
    if any(name in environment for name in _WAITING):
        return False
    environment["GOMP_SPINCOUNT"] = str(SPINS)
    return True
