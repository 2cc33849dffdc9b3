"""Execution of tasks by processes of this computer or by the workers of a Dask cluster.

Results are in the order of the tasks and depend only on the tasks, so that they are the same for every executor.
Worker processes import this module; its imports are kept light.
"""

from __future__ import annotations

import gc
import importlib.metadata
import itertools
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from overread.credentials import check_address
from overread.errors import InputError
from overread.images.store.worker_pool import WorkerPool, WorkItem
from overread.threads import limit_spinning

Item = TypeVar("Item")
Made = TypeVar("Made")

# Tasks under way per worker: enough that none waits, few enough that memory stays bounded.
_AHEAD = 3
_WAIT_FOR_WORKERS = 60.0  # seconds; a queueing system may take its time to start them


def in_order(
    function: Callable[..., Made], tasks: Iterable[tuple[Any, ...]], workers: int | str, *, sees: Path | str = "."
) -> Generator[Made, None, None]:
    """Compute `function(*task)` for every task, in order.

    Parameters
    ----------
    function : callable
        Function of a module, which workers import; its result depends only on the task.
    tasks : iterable of tuple
        Consumed as needed: few are in progress at a time, so that memory is bounded.
    workers : int or str
        Processes on this computer (1, or a single task = this process), or the address of a Dask scheduler
        ("tcp://host:8786").
    sees : path
        Folder that every worker of a cluster must have under this path.

    Yields
    ------
    object
        Result of each task. Closing the generator stops the work; a local worker ends itself if its parent is gone.

    Raises
    ------
    InputError
        Workers were terminated from outside, or a scheduler cannot be reached, has no workers, or has workers with
        another version of overread or without the folder.
    """
    coming = iter(tasks)
    first = list(itertools.islice(coming, 2))
    if isinstance(workers, int) and (workers == 1 or len(first) < 2):
        workers = 0
    work: WorkItem[tuple[Any, ...], Made] = WorkItem(_called, _only, given=(function,))
    return in_portions(work, ((task,) for task in itertools.chain(first, coming)), workers, sees=sees)


def _called(task: tuple[Any, ...], function: Callable[..., Made]) -> Made:
    return function(*task)


def _only(results: list[Made], function: Callable[..., Made]) -> Made:
    return results[0]


def in_portions(
    work: WorkItem[Item, Made], portions: Iterable[Sequence[Item]], workers: int | str, *, sees: Path | str = "."
) -> Generator[Made, None, None]:
    """Apply `work` to every portion, in order.

    Parameters
    ----------
    work : WorkItem
        Functions for each item, such as a file; see `worker_pool.WorkItem`.
    portions : iterable of sequence
        Consumed as needed.
    workers : int or str
        Processes on this computer, in which each item is limited in time and memory; 0 = this process, or the address
        of a Dask scheduler, both without these limits.
    sees : path
        Folder that every worker of a cluster must have under this path.

    Yields
    ------
    object
        Result of each portion. Closing the generator stops the work.

    Raises
    ------
    InputError
        As `in_order`.
    """
    if isinstance(workers, str):
        tasks = ((items,) for items in portions)
        yield from _on_cluster(work.do, tasks, workers, str(Path(sees).resolve()))
    elif workers == 0:
        yield from (work.do(items) for items in portions)
    else:
        limit_spinning()  # inherited by the workers
        pool, threads = WorkerPool(workers, work), ThreadPoolExecutor(workers)
        try:
            yield from _submitted(threads, pool.do, ((items,) for items in portions), lambda: workers)
        finally:
            pool.close()
            threads.shutdown(wait=True, cancel_futures=True)


def _submitted(
    pool: Executor, function: Callable[..., Made], tasks: Iterable[tuple[Any, ...]], slots: Callable[[], int]
) -> Generator[Made, None, None]:
    waiting: deque[Future[Made]] = deque()
    coming = iter(tasks)
    for number in itertools.count():
        if number % 64 == 0:  # a cluster may have grown or shrunk
            ahead = _AHEAD * max(1, slots())
        with undisturbed():
            waiting.extend(pool.submit(function, *task) for task in itertools.islice(coming, ahead - len(waiting)))
        if not waiting:
            return
        yield waiting.popleft().result()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Defer Ctrl-C until the end of the block: a worker that is being started must receive all its data."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[tuple[int, Any]] = []
    usual = signal.signal(signal.SIGINT, lambda number, frame: heard.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if heard and callable(usual):
        usual(*heard[0])


def _on_cluster(
    function: Callable[..., Made], tasks: Iterable[tuple[Any, ...]], address: str, sees: str
) -> Generator[Made, None, None]:
    distributed = _distributed()
    with closing(_client(distributed, address)) as client:
        _check_workers(client, address, sees)
        pool = client.get_executor(pure=False, retries=2)
        try:
            yield from _submitted(pool, function, tasks, lambda: sum(client.nthreads().values()))
        except (CancelledError, distributed.scheduler.KilledWorker, distributed.comm.CommClosedError, OSError) as error:
            raise InputError(
                f"cluster {address}",
                "a scheduler and workers that live",
                f"one that was lost ({_said(error)})",
                do="Look at its log, start it again and run the same command; parts already made are kept.",
            ) from error
        finally:
            pool.shutdown(wait=False)


def _distributed() -> Any:
    try:
        import distributed
    except ModuleNotFoundError as error:
        do = "pip install 'overread[cluster]', here and on every worker."
        raise InputError("--cluster", "Dask", "an installation without it", do=do) from error
    return distributed


def _client(distributed: Any, address: str) -> Any:
    check_address(address, "--cluster")
    try:
        return distributed.Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        why = _said(error)
    # The client that failed is ended here: were it collected while the next one starts its thread, each would wait for
    # the other's lock, and the next would fail too.
    gc.collect()
    raise InputError(
        "--cluster",
        "the address of a Dask scheduler that runs, such as tcp://host:8786",
        f"'{address}'",
        do=f"It could not be reached ({why}).",
    )


def _check_workers(client: Any, address: str, sees: str) -> None:
    where = f"cluster {address}"
    try:
        client.wait_for_workers(1, timeout=_WAIT_FOR_WORKERS)
    except TimeoutError as error:
        do = f"Start some: dask worker {address}"
        raise InputError(where, "workers", f"none within {_WAIT_FOR_WORKERS:.0f} s", do=do) from error
    answers = client.run(_found, sees, on_error="return")
    mine = importlib.metadata.version("overread")
    without = sorted(w for w, a in answers.items() if not isinstance(a, tuple))
    other = sorted(f"{w}: {a[0]}" for w, a in answers.items() if isinstance(a, tuple) and a[0] != mine)
    blind = sorted(w for w, a in answers.items() if isinstance(a, tuple) and not a[1])
    problems = []
    if without:
        problems.append(
            InputError(
                where,
                "overread on every worker",
                "workers without it",
                examples=without,
                do=f"pip install overread=={mine} there.",
            )
        )
    if other:
        problems.append(InputError(where, f"overread {mine} on every worker", "other versions", examples=other))
    if blind:
        problems.append(
            InputError(
                where,
                f"every worker to see {sees}",
                f"{len(blind)} that do not",
                examples=blind,
                do="Put the data on storage that all machines mount under one path.",
            )
        )
    if problems:
        raise InputError.all(problems)


def _found(folder: str) -> tuple[str, bool]:
    """Installed version of overread, and whether the folder exists."""
    return importlib.metadata.version("overread"), os.path.isdir(folder)


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
