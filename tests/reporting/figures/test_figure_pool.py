"""Figures drawn by several processes are those that one process draws."""

import os
import signal
import time

import pytest

from overread.reporting.blocks import Figure, Folded, Paragraph, Section, drawn, waiting
from overread.reporting.figures.figure_pool import Delayed, Drawings, delayed, drawing_pool


def slow(name: str, *, seconds: float = 0.0) -> str:
    time.sleep(seconds)
    return f"{name} {os.getpid()}"


def drawn_by(drawings: list[Delayed], pool) -> list[str]:
    begun = Drawings(pool)
    begun.begin(drawings)
    done = begun.finish()
    assert list(done) == drawings
    return list(done.values())


def fatal() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.slow
def test_all_figures_come_in_order_whoever_drew_them():
    figures = [delayed(slow, str(k), seconds=0.05) for k in range(12)]
    with drawing_pool(2) as pool:
        pool.submit(os.getpid).result()  # the other process is there
        made = [text.split() for text in drawn_by(figures, pool)]
    assert [name for name, _ in made] == [str(k) for k in range(12)]
    assert len({process for _, process in made}) == 2


def test_one_worker_is_this_process():
    with drawing_pool(1) as pool:
        assert pool is None
        assert drawn_by([delayed(slow, "a"), delayed(slow, "b")], pool) == [f"a {os.getpid()}", f"b {os.getpid()}"]


@pytest.mark.slow
def test_figures_of_a_process_that_was_ended_are_drawn_here():
    with drawing_pool(2) as pool:
        with pytest.raises(Exception, match="terminated"):
            pool.submit(fatal).result()
        assert drawn_by([delayed(slow, "a"), delayed(slow, "b")], pool) == [f"a {os.getpid()}", f"b {os.getpid()}"]


@pytest.mark.slow
def test_figures_are_drawn_where_they_stand_folded_ones_among_them():
    one, two = Figure(delayed(slow, "one"), "First"), Figure(delayed(slow, "two"), "Second")
    section = Section("s", "S", (Paragraph("t"), one, Folded("more", (two, Figure("<svg>", "Third")))))
    drawings = Drawings()
    drawings.begin(waiting(section))
    (made,) = drawn([section], drawings.finish())
    assert made.blocks[0] == Paragraph("t")
    assert made.blocks[1].drawing.startswith("one ")
    assert [f.drawing.split()[0] for f in made.blocks[2].blocks] == ["two", "<svg>"]
    assert one.svg.startswith("one ")


def test_a_figure_that_is_begun_twice_is_drawn_once():
    drawings, one = Drawings(), delayed(slow, "one")
    drawings.begin([one])
    drawings.begin([one, delayed(slow, "two")])
    assert [text.split()[0] for text in drawings.finish().values()] == ["one", "two"]


@pytest.mark.slow
def test_figures_are_drawn_while_the_caller_goes_on():
    with drawing_pool(2) as pool:
        pool.submit(os.getpid).result()
        drawings = Drawings(pool)
        drawings.begin([delayed(slow, str(k)) for k in range(3)])
        pool.submit(os.getpid).result()  # after the figures
        assert str(os.getpid()) not in {text.split()[1] for text in drawings.finish().values()}
