"""Progress reports of an evaluation, divided among nested loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Progress = Callable[[int, int], None]
"""Called with the work done and the work in all."""

TOTAL = 100
"""The work in all: progress is reported in per cent of the expected time."""

Item = TypeVar("Item")


class _Meter:
    """Progress so far (0 to 1), and the share of the current loop."""

    def __init__(self, report: Progress) -> None:
        self.start, self.width = 0.0, 1.0
        self._report, self._said = report, -1

    def tell(self) -> None:
        done = min(TOTAL, int(TOTAL * self.start + 1e-9))
        if done > self._said:  # whole per cents, never backwards
            self._said = done
            self._report(done, TOTAL)


_METER: ContextVar[_Meter | None] = ContextVar("meter", default=None)


@contextmanager
def reporting(report: Progress | None) -> Iterator[None]:
    """Report the progress of the loops in the block that run through `advancing`."""
    meter = _Meter(report) if report is not None else None
    token = _METER.set(meter)
    try:
        yield
    finally:
        _METER.reset(token)


def advancing(items: Iterable[Item], costs: Sequence[float] = ()) -> Iterator[Item]:
    """Iterate over items and report progress after each.

    Nested loops divide the share of the current item among their own items. The meter is a context variable, because it
    would otherwise be a parameter of every analysis without affecting any result.

    Parameters
    ----------
    items : iterable
        The items of the loop.
    costs : sequence of float
        Expected relative time of each item; equal by default.

    Yields
    ------
    object
        The items, in order.

    Examples
    --------
    >>> with reporting(lambda done, total: print(done, end=" ")):
    ...     for site in advancing(["a", "b"], [3, 1]):
    ...         for finding in advancing(range(3)):
    ...             pass
    0 25 50 75 83 91 100
    """
    meter = _METER.get()
    if meter is None:
        yield from items
        return
    every = list(items)
    shares = list(costs) or [1.0] * len(every)
    start, width, before, whole = meter.start, meter.width, 0.0, sum(shares) or 1.0
    for item, share in zip(every, shares, strict=True):
        meter.start, meter.width = start + width * before / whole, width * share / whole
        meter.tell()
        yield item
        before += share
    meter.start, meter.width = start + width, 0.0
    meter.tell()
