"""What a person sees while work goes on: a bar with rate and time left on a terminal, lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from overread.characters import masked, visible


def put(text: str) -> None:
    """A line of the result. This and `say` are the only ways to a terminal: no control character or password passes."""
    typer.echo(masked(visible(text)))


def say(text: str, *, red: bool = False) -> None:
    """Lines for the person, beside the result; red where it is what went wrong."""
    console = Console(stderr=True, highlight=False, emoji=False)
    console.print(masked(visible(text, keep="\n")), style="red" if red else None, markup=False, soft_wrap=True)


class Pace:
    """How fast work goes, from when it began; what an earlier run had done already does not count as fast work."""

    def __init__(self, done: int) -> None:
        self._first, self._since = done, time.monotonic()

    def rate(self, done: int) -> str:
        """So many per second."""
        seconds = time.monotonic() - self._since
        per_second = (done - self._first) / seconds if seconds > 0 else 0.0
        return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.2g}/s" if per_second > 0 else ""

    def said(self, done: int, total: int) -> str:
        """The rate and the time left, for a line of a log."""
        if done <= self._first:
            return ""
        left = (total - done) * (time.monotonic() - self._since) / (done - self._first)
        hours, rest = divmod(round(left), 3600)
        return f", {self.rate(done)}" + (f", {hours}:{rest // 60:02}:{rest % 60:02} left" if done < total else "")


@contextmanager
def shown() -> Iterator[Callable[[str, int, int], None]]:
    """On a terminal a bar per kind of work, with rate and time left; in a log a line as each begins, goes on, ends."""
    errors = Console(stderr=True, highlight=False)
    if not errors.is_terminal:
        yield _logged()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors) as bars:
        tasks: dict[str, TaskID] = {}
        paces: dict[str, Pace] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(visible(what), total=total, rate="")
                paces[what] = Pace(done)
            bars.update(tasks[what], completed=done, total=total, rate=paces[what].rate(done))

        yield show


def _logged(every: float = 15.0) -> Callable[[str, int, int], None]:
    said: dict[str, float] = {}
    paces: dict[str, Pace] = {}

    def show(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        pace = paces.setdefault(what, Pace(done))
        if what not in said or now - said[what] > every or done == total:
            said[what] = now
            say(f"{what}: {done:,} of {total:,}{pace.said(done, total)}")

    return show


@contextmanager
def line(what: str) -> Iterator[Callable[[int, int], None]]:
    """The same for work of one kind."""
    with shown() as show:
        yield lambda done, total: show(what, done, total)
