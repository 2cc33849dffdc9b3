"""What several tests need: real files and reference numbers that lie beside the checkout, where they are present."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A deadline per example would fail on a busy machine, and where a kernel is compiled first.
settings.register_profile("overread", deadline=None)
settings.load_profile("overread")

for _threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(_threads, "1")


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
