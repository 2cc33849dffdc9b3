import gc
import os
import signal
import threading

import numpy as np
import polars as pl
import pytest
from distributed import LocalCluster
from PIL import Image

from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store import executors, pixel_store
from overread.images.store.executors import in_order

pytestmark = pytest.mark.slow

RECIPE = Recipe(16, "pad")


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as made:
        yield made


@pytest.mark.parametrize("who", [1, 2, "cluster"])
def test_results_come_in_the_order_of_the_tasks(who, cluster):
    tasks = [(7, n) for n in range(40)]
    assert list(in_order(pow, tasks, cluster.scheduler_address if who == "cluster" else who)) == [
        7**n for _, n in tasks
    ]


def test_tasks_are_taken_as_they_are_needed():
    taken = []

    def tasks():
        for n in range(100):
            taken.append(n)
            yield (2, n)

    stream = in_order(pow, tasks(), 2)
    assert next(stream) == 1
    assert len(taken) <= 8
    stream.close()


def test_a_cluster_builds_the_same_bytes(tmp_path, cluster):
    rng = np.random.default_rng(0)
    for i in range(50):
        Image.fromarray(rng.integers(0, 255, (30, 20 + i), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    images = pl.DataFrame({"image_id": [f"i{i}" for i in range(50)], "path": [f"{i}.png" for i in range(50)]})
    pixel_store.build(images, tmp_path, tmp_path / "here", RECIPE)
    pixel_store.build(images, tmp_path, tmp_path / "there", RECIPE, workers=cluster.scheduler_address)
    files = sorted((tmp_path / "here/pixels").iterdir())
    assert [f.name for f in files] == ["part-00000.json", "part-00000.npy", "recipe.json"]
    for file in files:
        assert file.read_bytes() == (tmp_path / "there/pixels" / file.name).read_bytes()


def test_a_worker_that_dies_is_replaced_and_one_that_always_dies_is_said(cluster, tmp_path):
    flag = tmp_path / "died"
    tasks = [(str(flag), n) for n in range(12)]
    assert list(in_order(_die_once, tasks, cluster.scheduler_address)) == list(range(12))
    assert flag.exists()
    with pytest.raises(InputError, match="a scheduler and workers that live; found one that was lost"):
        list(in_order(_die, [(n,) for n in range(3)], cluster.scheduler_address))


def _die_once(flag, n):
    if n == 5:
        try:
            os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return n
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def _die(n):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_local_worker_that_dies_is_said():
    with pytest.raises(InputError, match="worker processes: expected all of them to live; found one that was ended"):
        list(in_order(_die, [(n,) for n in range(3)], 2))


def test_a_scheduler_that_is_not_there_is_said(monkeypatch):
    real = executors._distributed()

    class Quick:
        Client = staticmethod(lambda address, timeout, set_as_default: real.Client(address, timeout="0.5s"))

    monkeypatch.setattr(executors, "_distributed", lambda: Quick)
    with pytest.raises(InputError, match=r"a Dask scheduler that runs, such as tcp://host:8786; found 'tcp://127"):
        list(in_order(pow, [(1, 1)] * 3, "tcp://127.0.0.1:9"))
    with pytest.raises(InputError, match="found 'nonsense'"):
        list(in_order(pow, [(1, 1)] * 3, "nonsense"))


def test_a_scheduler_that_is_not_there_leaves_nothing_that_hangs_the_next_one(cluster, monkeypatch):
    """A client that could not connect, collected in the thread that the next one starts, makes both wait for a lock."""
    import distributed.utils

    usual = distributed.utils.asyncio_run

    def collecting(*given, **named):
        gc.collect()
        return usual(*given, **named)

    gc.disable()
    try:
        with pytest.raises(InputError, match="a Dask scheduler that runs"):
            list(in_order(pow, [(1, 1)] * 3, "nonsense"))
        monkeypatch.setattr(distributed.utils, "asyncio_run", collecting)
        assert list(in_order(pow, [(2, n) for n in range(3)], cluster.scheduler_address)) == [1, 2, 4]
    finally:
        gc.enable()


def test_workers_that_cannot_do_the_work_are_said(cluster, monkeypatch, tmp_path):
    with pytest.raises(InputError, match=r"every worker to see /nowhere; found 2 that do not .*mount under one path"):
        list(in_order(pow, [(1, 1)] * 3, cluster.scheduler_address, sees="/nowhere"))
    monkeypatch.setattr(executors.importlib.metadata, "version", lambda _: "9.9")
    with pytest.raises(InputError, match=r"overread 9.9 on every worker; found other versions \(tcp"):
        list(in_order(pow, [(1, 1)] * 3, cluster.scheduler_address))


def test_a_cluster_without_workers_is_said(monkeypatch):
    monkeypatch.setattr(executors, "_WAIT_FOR_WORKERS", 0.5)
    with (
        LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as none,
        pytest.raises(InputError, match=r"workers; found none within 0 s. Start some: dask worker tcp"),
    ):
        list(in_order(pow, [(1, 1)] * 3, none.scheduler_address))


def test_dask_is_asked_for_only_where_it_is_used(monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *rest):
        if name == "distributed":
            raise ModuleNotFoundError(name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert list(in_order(pow, [(2, 3)], 1)) == [8]
    with pytest.raises(InputError, match=r"found an installation without it. pip install 'overread\[cluster\]'"):
        list(in_order(pow, [(2, 3)], "tcp://127.0.0.1:9"))


def test_closing_stops_the_work():
    before = threading.active_count()
    stream = in_order(pow, ((2, n) for n in range(10**9)), 2)
    assert next(stream) == 1
    stream.close()
    assert threading.active_count() <= before + 1


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_is_heard_after_a_worker_was_started():
    heard = []

    def started():
        with executors.undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            heard.append("went on")

    with pytest.raises(KeyboardInterrupt):
        started()
    assert heard == ["went on"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
