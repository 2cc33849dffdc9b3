"""Number of computing threads, set in one place for torch, numba and BLAS, and the waiting behaviour of threads.

The last bits of sums in training depend on the number of threads. By default that number depends on what ran before in
the process: the first parallel numba kernel sets the OpenMP threads of the whole process, including those of torch, to
the number of cores, regardless of OMP_NUM_THREADS.

Nothing is imported here: a library that no module has imported has no threads yet.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from threadpoolctl import ThreadpoolController, threadpool_limits

from overread.errors import InputError

SPINS = 10_000
_WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
_ASKED = "OMP_NUM_THREADS"
_HELD: ContextVar[int | None] = ContextVar("threads of the computation under way", default=None)
_LOG = logging.getLogger("overread")


def limit_spinning(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Let waiting OpenMP threads sleep soon; return whether the setting was made.

    At the end of every parallel loop a thread of GNU OpenMP spins until the others are done, by default for up to
    300,000 iterations (about 3 ms) before it sleeps. If another program is busy, the thread that the others wait for
    has no core, because the waiting threads occupy it, and a training step takes eight times as long. With this setting
    a thread sleeps after `SPINS` iterations.

    The libraries read the setting when they are loaded, so it must be made before torch is imported and before worker
    processes, which inherit it, are started. A setting of the user is kept.

    Parameters
    ----------
    environment : mutable mapping
        The environment variables.

    Returns
    -------
    bool
        Whether the setting was made.

    Notes
    -----
    Measured with benchmarks/busy.py on 2 cores and small convolutions, 10,000 against the default of 300,000: alone the
    same speed (6.16 and 6.13 steps/s, medians of seven rounds), beside one busy program 2.5 times the speed (1.97 and
    0.80 steps/s). 20,000 gave 1.9 times; 3,000 gave 3.1 times, but 1,000 cost 30 % alone.

    Examples
    --------
    >>> limit_spinning({"OMP_WAIT_POLICY": "active"})
    False
    """
    if any(name in environment for name in _WAITING):
        return False
    environment["GOMP_SPINCOUNT"] = str(SPINS)
    return True


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def asked(environment: Mapping[str, str] = os.environ) -> int | None:
    """Return the number of threads in OMP_NUM_THREADS; None if it is not set.

    OpenMP allows a list with one number per level of nested loops; the first is that of a loop that is not nested.

    Raises
    ------
    InputError
        The value is not a number of 1 or more; OpenMP would ignore it and use every core.

    Examples
    --------
    >>> asked({"OMP_NUM_THREADS": "4,2"}), asked({})
    (4, None)
    """
    text = environment.get(_ASKED, "").strip()
    if not text:
        return None
    count = _positive(text.partition(",")[0].strip())
    if count is None:
        raise InputError(_ASKED, "a whole number of threads, at least 1", repr(text), do="Set it, or unset it.")
    return count


def _positive(text: str) -> int | None:
    """Parse a whole number from 1 to 99,999 in ASCII digits; None for anything else."""
    count = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    return count or None


def number(begun: int | None = None) -> int:
    """Return the number of threads to compute with.

    In order of priority: that of the enclosing `computing` block; OMP_NUM_THREADS; the number `begun` with which the
    work was started, if there are as many cores; the number of available cores.
    """
    chosen = _HELD.get() or asked()
    if chosen is not None:
        return chosen
    return begun if begun is not None and 1 <= begun <= cores() else cores()


@contextmanager
def computing(count: int | None = None) -> Iterator[int]:
    """Compute with a number of threads (default: `number()`), and restore the previous numbers afterwards.

    torch and numba, if loaded, use `count` threads. BLAS, which computes the matrix products of NumPy and SciPy, uses
    one thread, because its sums depend on the number of threads and the tables of an evaluation must not. Results of
    the numba kernels here do not depend on it, so only training and prediction do.

    Examples
    --------
    >>> with computing(1):
    ...     number()
    1
    """
    usual = asked() or cores()
    chosen = count or number()
    token, openmp = _HELD.set(chosen), {c.filepath: c.num_threads for c in _openmp()}
    numba, torch = sys.modules.get("numba"), sys.modules.get("torch")
    threads_of_torch = torch.get_num_threads() if torch else 0  # before numba, which may change it
    threads_of_numba = _set_numba(numba, chosen) if numba else 0
    try:
        if torch:
            torch.set_num_threads(chosen)
        with threadpool_limits(1, user_api="blas"):
            yield chosen
    finally:
        _HELD.reset(token)
        if numba:
            _set_numba(numba, threads_of_numba)
        for library in _openmp():  # numba raises those of all, also for a torch that is not loaded yet
            library.set_num_threads(openmp.get(library.filepath, usual))
        if torch:
            torch.set_num_threads(threads_of_torch)


def _openmp() -> list[Any]:
    """Return the loaded OpenMP libraries."""
    found: list[Any] = ThreadpoolController().select(user_api="openmp").lib_controllers
    return found


def _set_numba(numba: Any, count: int) -> int:
    """Set the threads of numba, at most the number with which it was started; return the previous number."""
    before: int = numba.get_num_threads()
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    return before


def record(count: int | None = None) -> dict[str, str]:
    """Return the conditions on which the last bits of a result may depend, for stage.json, run.json and checkpoints.

    These are the number of threads and the threading layer of numba; if torch is loaded, also its version and the
    instruction set that it uses ("AVX512").
    """
    conditions = {"threads": str(count or number())}
    if torch := sys.modules.get("torch"):
        conditions |= {"torch": str(torch.__version__), "cpu capability": torch.backends.cpu.get_cpu_capability()}
    if numba := sys.modules.get("numba"):
        try:
            conditions["numba threading layer"] = numba.threading_layer()
        except ValueError:  # no parallel kernel has run yet
            conditions["numba threading layer"] = "none"
    return conditions


def recorded(kept: Mapping[str, Any]) -> int | None:
    """Return the number of threads in a record; None if it has none.

    >>> recorded({"threads": "2"}), recorded({})
    (2, None)
    """
    return _positive(str(kept.get("threads", "")))


def resumed(what: str, begun: int | None, *, say: Callable[[str], object] = _LOG.warning) -> int:
    """Return the number of threads for resumed work that was started with `begun`; report it if it is not the default.

    `what` is the subject of the sentence ("The training in out/model"); `say` receives the sentence.
    """
    used = number(begun)
    if begun is None or begun == used == number():
        return used
    if used == begun:
        say(
            f"{what} goes on with {_counted(used)}, as it was begun; {cores()} cores are available. "
            f"Set {_ASKED} to use another number."
        )
    else:
        say(
            f"{what} was begun with {_counted(begun)} and goes on with {_counted(used)}: trainings and predictions "
            f"may differ in the last bits from those of a run without interruption. Set {_ASKED}={begun} to go on as "
            "it was begun."
        )
    return used


def _counted(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
