"""What several tests need: real files and reference numbers that lie beside the checkout, where they are present."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A deadline per example would fail on a busy machine, and where a kernel is compiled first.
settings.register_profile("overread", deadline=None)
settings.load_profile("overread")

for _threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(_threads, "1")

# An unmarked test that takes longer is named at the end of a run. It is no failure: the machine may be busy.
UNMARKED_SECONDS = 2.0


def unmarked_and_slow(reports: Iterable[Any]) -> list[tuple[str, float]]:
    """The tests without the mark slow that took longer than UNMARKED_SECONDS with their fixtures, longest first."""
    seconds: Counter[str] = Counter()
    for report in reports:
        if getattr(report, "when", "") in ("setup", "call") and "slow" not in report.keywords:
            seconds[report.nodeid] += report.duration
    return [(name, duration) for name, duration in seconds.most_common() if duration > UNMARKED_SECONDS]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell which tests belong to the slow ones."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    if found := unmarked_and_slow(reports):
        terminalreporter.section(f"more than {UNMARKED_SECONDS:g} s without the mark slow: {len(found)}")
        for name, duration in found[:20]:
            terminalreporter.line(f"{duration:6.1f} s  {name}")
        terminalreporter.line("Make them smaller or mark them: @pytest.mark.slow (see CONTRIBUTING.md).")


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """The path of a file beside the checkout; a test that asks for one that is absent is skipped with the reason."""

    def find(name: str) -> Path:
        path = Path(__file__).resolve().parents[2] / "shared" / name
        if not path.exists():
            pytest.skip(f"needs shared/{name} beside the checkout")
        return path

    return find


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT interrupts this process and the processes that it starts, also where the parent ignores it.

    A shell without job control starts background jobs with SIGINT ignored, and programs that they start inherit that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
