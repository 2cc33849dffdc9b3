"""Figures drawn by several processes are those that one process draws."""

import os
import signal
import time

import pytest

from overread.reporting.blocks import Figure, Folded, Paragraph, Section, drawn
from overread.reporting.figures.figure_pool import delayed, draw, drawing_pool


def slow(name: str, *, seconds: float = 0.0) -> str:
    time.sleep(seconds)
    return f"{name} {os.getpid()}"


def fatal() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.slow
def test_all_figures_come_in_order_whoever_drew_them():
    waiting = [delayed(slow, str(k), seconds=0.05) for k in range(12)]
    with drawing_pool(2) as pool:
        pool.submit(os.getpid).result()  # the other process is there
        made = [text.split() for text in draw(waiting, pool)]
    assert [name for name, _ in made] == [str(k) for k in range(12)]
    assert len({process for _, process in made}) == 2


def test_one_worker_is_this_process():
    with drawing_pool(1) as pool:
        assert pool is None
        assert draw([delayed(slow, "a"), delayed(slow, "b")], pool) == [f"a {os.getpid()}", f"b {os.getpid()}"]


@pytest.mark.slow
def test_figures_of_a_process_that_was_ended_are_drawn_here():
    with drawing_pool(2) as pool:
        with pytest.raises(Exception, match="terminated"):
            pool.submit(fatal).result()
        assert draw([delayed(slow, "a"), delayed(slow, "b")], pool) == [f"a {os.getpid()}", f"b {os.getpid()}"]


@pytest.mark.slow
def test_figures_are_drawn_where_they_stand_folded_ones_among_them():
    one, two = Figure(delayed(slow, "one"), "First"), Figure(delayed(slow, "two"), "Second")
    section = Section("s", "S", (Paragraph("t"), one, Folded("more", (two, Figure("<svg>", "Third")))))
    (made,) = drawn([section], None)
    assert made.blocks[0] == Paragraph("t")
    assert made.blocks[1].drawing.startswith("one ")
    assert [f.drawing.split()[0] for f in made.blocks[2].blocks] == ["two", "<svg>"]
    assert one.svg.startswith("one ")
