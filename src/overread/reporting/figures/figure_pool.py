"""Figures drawn by several processes, the calling one among them."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
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
        with _without_collecting():
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


class Drawings:
    """Figures that other processes draw while this one goes on; without other processes all are drawn at the end.

    The result does not depend on who drew a figure. Figures of a process that was ended from outside are drawn here.
    """

    def __init__(self, pool: Executor | None = None) -> None:
        self._pool = pool
        self._begun: dict[Delayed, Future[str] | None] = {}

    def begin(self, drawings: Iterable[Delayed]) -> None:
        """Have the other processes draw these figures, after those begun before."""
        for drawing in drawings:
            if drawing not in self._begun:
                self._begun[drawing] = self._submitted(drawing)

    def finish(self) -> dict[Delayed, str]:
        """Return every figure as SVG; this process draws from the end what no other has begun."""
        last_first = reversed(self._begun.items())
        own = {d: d.draw() for d, future in last_first if future is None or future.cancel()}
        return {d: own[d] if future is None or d in own else _result(d, future) for d, future in self._begun.items()}

    def _submitted(self, drawing: Delayed) -> Future[str] | None:
        if self._pool is None:
            return None
        try:
            return self._pool.submit(drawing.draw)
        except BrokenProcessPool:
            self._pool = None
            return None


def _result(drawing: Delayed, future: Future[str]) -> str:
    try:
        return future.result()
    except BrokenProcessPool:
        return drawing.draw()


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Let no reference cycles be looked for: a figure makes many objects, all of which live until it is written."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _begin() -> None:
    begin_worker()
    importlib.import_module("overread.reporting.page")


def _ready() -> None:
    """Do nothing: the first task makes the pool start its processes."""
