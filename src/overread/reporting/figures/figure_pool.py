"""Figures drawn by several processes, the calling one among them."""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from overread.images.store.executors import undisturbed
from overread.images.store.worker_pool import begin_worker
from overread.threads import limit_spinning


@dataclass(frozen=True, slots=True, eq=False)
class Delayed:
    """A figure that is not drawn yet: a function of a module that returns SVG, and its arguments."""

    function: Callable[..., str]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    def draw(self) -> str:
        """Return the figure as SVG."""
        return self.function(*self.arguments, **self.options)


def delayed(function: Callable[..., str], *arguments: Any, **options: Any) -> Delayed:
    """Return the call of a drawing function, to be made by `draw`."""
    return Delayed(function, arguments, options)


def both_widths(function: Callable[..., str], *arguments: Any, **options: Any) -> tuple[Delayed, Delayed]:
    """Return the calls that draw a figure for a screen or paper, and for a phone."""
    return delayed(function, *arguments, **options), delayed(function, *arguments, **options, narrow=True)


@contextmanager
def drawing_pool(workers: int) -> Iterator[Executor | None]:
    """Start processes that draw figures beside the calling one; None for one worker.

    They are started at once and load matplotlib while the caller computes what is to be drawn. Like every process pool
    it needs a main module that can be imported: a script without ``if __name__ == "__main__"`` must use one worker.
    """
    if workers <= 1:
        yield None
        return
    limit_spinning()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers - 1, mp_context=context, initializer=_begin) as pool:
        try:
            with undisturbed():
                for _ in range(workers - 1):
                    pool.submit(_ready)
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def draw(drawings: Sequence[Delayed], pool: Executor | None) -> list[str]:
    """Return the SVG of every figure, in order; the result does not depend on who drew it.

    The calling process draws from the end what no other process has begun. Figures of a process that was ended from
    outside are drawn by the calling one.
    """
    if pool is None or len(drawings) < 2:
        return [d.draw() for d in drawings]
    try:
        futures = [pool.submit(d.draw) for d in drawings]
    except BrokenProcessPool:
        return [d.draw() for d in drawings]
    own = {k: drawings[k].draw() for k in reversed(range(len(drawings))) if futures[k].cancel()}
    done = []
    for k, future in enumerate(futures):
        if k in own:
            done.append(own[k])
            continue
        try:
            done.append(future.result())
        except BrokenProcessPool:
            done.append(drawings[k].draw())
    return done


def _begin() -> None:
    begin_worker()
    importlib.import_module("overread.reporting.page")


def _ready() -> None:
    """Do nothing: the first task makes the pool start its processes."""
