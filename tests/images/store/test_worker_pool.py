"""A file that takes too much time or memory, or ends its process, costs its worker and is reported, not the run."""

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from overread.errors import InputError
from overread.images.store.executors import in_portions
from overread.images.store.worker_pool import ENDED, WorkerPool, WorkItem
from overread.limits import Bounds

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the bounds are those of Linux")
BOUNDS = Bounds(seconds=0.5, memory_mb=256)


def one(item, folder):
    kind, number = item
    if kind == "busy":
        while True:
            np.linalg.norm(np.ones(1000))
    if kind == "in C":
        sum(range(10**12))
    if kind == "large":
        return np.ones(10**9)[0]
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "crash once" and not (folder / "crashed").exists():
        (folder / "crashed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "wait":
        time.sleep(1.5 * BOUNDS.seconds)
    if kind == "defect":
        raise ZeroDivisionError("ours")
    return number


def lost(item, why):
    return item[0], why


def gathered(results, folder):
    return results


def made(portions, workers, folder, bounds=BOUNDS):
    return list(in_portions(WorkItem(one, gathered, lost, (folder,), bounds), portions, workers))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("busy", "more than 0.5 s of processor time"),
        ("in C", "more than 0.5 s of processor time"),
        ("large", "more than 256 MB of memory"),
        ("crash", "twice with its process"),
    ],
)
def test_an_item_beyond_its_bounds_is_lost_and_the_others_are_made(kind, why, tmp_path):
    portions = [[("good", 1), (kind, 2), ("good", 3)], [("good", 4)], [(kind, 5), (kind, 6)]]
    gone = (kind, f"{ENDED}: {why}")
    assert made(portions, 1, tmp_path) == [[1, gone, 3], [4], [gone, gone]]


@pytest.mark.slow
def test_the_result_does_not_depend_on_the_number_of_processes(tmp_path):
    kinds = ["good", "busy", "good", "large", "crash", "good"]
    portions = [[(kinds[(n + k) % 6], 10 * n + k) for k in range(3)] for n in range(4)]
    assert made(portions, 2, tmp_path) == made(portions, 1, tmp_path)


@pytest.mark.slow
def test_a_process_that_is_ended_from_outside_costs_no_file(tmp_path):
    assert made([[("good", 1), ("crash once", 2), ("good", 3)]], 1, tmp_path) == [[1, 2, 3]]


@pytest.mark.slow
def test_time_in_which_nothing_is_computed_does_not_count(tmp_path):
    assert made([[("wait", 1)]], 1, tmp_path) == [[1]]


@pytest.mark.slow
def test_items_share_no_time(tmp_path):
    busy = [("good", n) for n in range(200)]
    assert made([busy], 1, tmp_path, Bounds(seconds=0.05)) == [list(range(200))]


@pytest.mark.slow
def test_a_defect_of_ours_is_raised_with_its_place(tmp_path):
    with pytest.raises(ZeroDivisionError, match="ours") as caught:
        made([[("good", 1), ("defect", 2)]], 1, tmp_path)
    assert any("test_worker_pool.py" in note for note in caught.value.__notes__)


@pytest.mark.slow
def test_in_this_process_nothing_is_started(tmp_path):
    assert list(in_portions(WorkItem(_process, gathered, None, (tmp_path,)), [[0]], 0)) == [[os.getpid()]]
    assert list(in_portions(WorkItem(_process, gathered, None, (tmp_path,)), [[0]], 1)) != [[os.getpid()]]


def _process(item, folder):
    return os.getpid()


@pytest.mark.slow
def test_work_without_a_stand_in_is_refused_where_its_process_ends(tmp_path):
    work = WorkItem(one, gathered, None, (tmp_path,))
    with pytest.raises(InputError, match="worker processes: expected all of them to live"):
        list(in_portions(work, [[("crash", 1)]], 1))


@pytest.mark.slow
def test_closing_ends_processes_that_are_at_work(tmp_path):
    pool = WorkerPool(2, WorkItem(one, gathered, lost, (tmp_path,), Bounds(seconds=1000)))
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(pool.do, [("busy", n)]) for n in range(2)]
        while len(pool._started) < 2 or any(w.begun.value < 0 for w in list(pool._started)):
            time.sleep(0.01)
        started = [w.process for w in pool._started]
        pool.close()
        assert all(not p.is_alive() for p in started)
        assert all(f.exception() is not None for f in waiting)
