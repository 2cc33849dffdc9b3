"""Worker processes with limits of time and memory per file.

A file can keep a decoder busy without end or crash its process, which cannot be prevented within the process. The
kernel terminates a worker whose file exceeds its processor time, and denies it memory beyond the limit; the worker is
replaced and the file is reported. Processor time is used because wall-clock time would make the result depend on the
load of the computer. Windows has neither limit.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from overread.errors import InputError
from overread.limits import Bounds

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

Item = TypeVar("Item")
Made = TypeVar("Made")
_FRUITLESS = 3  # workers that may end one after the other before any began with a file
_BOUNDS = Bounds()
ENDED = "reading it was ended"  # with what follows, why a file was lost
_PROF = int(getattr(signal, "SIGPROF", 0))


@dataclass(frozen=True, slots=True)
class WorkItem(Generic[Item, Made]):
    """Functions that process the items of a portion; they belong to a module, because workers import them.

    Parameters
    ----------
    one : callable
        one(item, *given): result for an item; an exception is a programming error.
    gathered : callable
        gathered(results, *given): result for the portion.
    lost : callable, optional
        lost(item, why): result for an item that exceeded `bounds` or crashed its worker; None = no limits, and a
        worker that ends is an error.
    given : tuple
        Further arguments of these functions.
    bounds : Bounds
        Limits of time and memory per item.
    """

    one: Callable[..., Any]
    gathered: Callable[..., Made]
    lost: Callable[[Item, str], Any] | None = None
    given: tuple[Any, ...] = ()
    bounds: Bounds = _BOUNDS

    def do(self, items: Sequence[Item]) -> Made:
        """Process the portion in this process without limits."""
        return self.gathered([self.one(item, *self.given) for item in items], *self.given)


class WorkerPool(Generic[Item, Made]):
    """Worker processes for one kind of work, each started when first needed.

    `do` is called from as many threads as there are processes and never from the main thread, which would delay
    Ctrl-C.
    """

    def __init__(self, processes: int, work: WorkItem[Item, Made]):
        self._work = work
        # spawn: a forked copy of a process that has threads (Polars, torch) can hang for ever
        self._context = multiprocessing.get_context("spawn")
        self._idle: SimpleQueue[_Worker | None] = SimpleQueue()  # None: one that is not started yet
        for _ in range(processes):
            self._idle.put(None)
        self._lock = threading.Lock()
        self._started: set[_Worker] = set()
        self._closed = False

    def do(self, items: Sequence[Item]) -> Made:
        """Process a portion in one of the processes; the result does not depend on which.

        Raises InputError if processes end before they start with a file, or for work without `lost`; CancelledError if
        the pool was closed; any exception of the work.
        """
        why: dict[int, str] = {}  # by the number of the item
        suspect, fruitless = -1, 0
        worker = self._idle.get()
        try:
            while True:
                worker = worker or self._start()
                answer = worker.answer(items, why)
                if answer is not None:
                    break
                self._forget(worker)
                code, number = worker.end()
                worker = None
                fruitless = fruitless + 1 if number < 0 else 0
                if self._work.lost is None or fruitless >= _FRUITLESS:
                    raise _ended()
                if number >= 0 and (_PROF and code == -_PROF):
                    why[number] = f"{ENDED}: more than {self._work.bounds.seconds:g} s of processor time"
                elif number >= 0 and number == suspect:  # a second time: it is the file, not the machine
                    why[number] = f"{ENDED}: twice with its process"
                suspect = number
        finally:
            self._idle.put(worker)
        made: Made
        failure, made = answer
        if failure is not None:
            raise failure
        return made

    def close(self) -> None:
        """Terminate all processes at once."""
        with self._lock:
            self._closed = True
            for worker in self._started:
                worker.process.kill()
            for worker in self._started:
                worker.process.join()

    def _start(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise CancelledError
            worker = _started(self._context, self._work)
            self._started.add(worker)
            return worker

    def _forget(self, worker: _Worker) -> None:
        with self._lock:
            self._started.discard(worker)
            if self._closed:
                raise CancelledError


@dataclass(frozen=True, eq=False, slots=True)
class _Worker:
    """A process, its pipe, and the number of items that it has started; eq=False because each is distinct."""

    process: Any
    pipe: Connection
    begun: Any

    def answer(self, items: Sequence[Any], why: Mapping[int, str]) -> tuple[Exception | None, Any] | None:
        """Result of the worker for the portion; None if the worker ended."""
        self.begun.value = -1
        try:
            self.pipe.send((items, why))
            answer: tuple[Exception | None, Any] = self.pipe.recv()
        except (EOFError, OSError):
            return None
        return answer

    def end(self) -> tuple[int, int]:
        """Exit code of a worker that ended, and the index of its last item; -1 = none."""
        self.process.kill()
        self.process.join()
        self.pipe.close()
        return int(self.process.exitcode), int(self.begun.value)


def _started(context: Any, work: WorkItem[Any, Any]) -> _Worker:
    ours, theirs = context.Pipe()
    begun = context.RawValue("i", -1)
    process = context.Process(target=_serve, args=(theirs, begun, work), daemon=True)
    if hasattr(signal, "pthread_sigmask"):  # inherited: Ctrl-C while it starts would print a traceback
        resource_tracker.ensure_running()  # which sets the mask back
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    process.start()
    theirs.close()  # or a worker that ends would not be noticed
    return _Worker(process, ours, begun)


def _ended() -> InputError:
    return InputError(
        "worker processes",
        "all of them to live",
        "one that was ended from outside (out of memory?)",
        do='In a script, call overread under `if __name__ == "__main__":`, or with workers=0. Otherwise run it again '
        "with fewer workers; parts already made are kept.",
    )


def _serve(pipe: Connection, begun: Any, work: WorkItem[Any, Any]) -> None:
    """Process the portions received through the pipe until the parent is gone."""
    begin_worker()
    if work.lost is not None:
        _bound_memory(work.bounds.memory_mb)
    with suppress(EOFError, OSError):
        while True:
            items, why = pipe.recv()
            answer: tuple[Exception | None, Any]
            try:
                answer = (None, work.gathered(list(_results(items, why, begun, work)), *work.given))
            except Exception as error:  # noqa: BLE001 - it is raised in the parent
                if not isinstance(error, InputError):
                    error.add_note(f"In a worker process:\n{traceback.format_exc()}")
                answer = (error, None)
            _send(pipe, answer)


def _send(pipe: Connection, answer: tuple[Exception | None, Any]) -> None:
    try:
        pipe.send(answer)
    except OSError:
        raise
    except Exception:  # noqa: BLE001 - what cannot be pickled is a defect of ours, to be raised in the parent
        pipe.send((RuntimeError(traceback.format_exc()), None))


def _results(items: Sequence[Any], why: Mapping[int, str], begun: Any, work: WorkItem[Any, Any]) -> Iterator[Any]:
    """Result of each item; the parent is informed which item is in progress."""
    for number, item in enumerate(items):
        begun.value = number
        if work.lost is None:
            yield work.one(item, *work.given)
        elif number in why:
            yield work.lost(item, why[number])
        else:
            yield _bounded(item, work)
    begun.value = -1


def _bounded(item: Any, work: WorkItem[Any, Any]) -> Any:
    """Result of an item under the kernel's timer, which terminates the process even within a decoder."""
    _set_timer(work.bounds.seconds)
    try:
        return work.one(item, *work.given)
    except MemoryError:
        pass
    finally:
        _set_timer(0)
    gc.collect()
    assert work.lost is not None
    return work.lost(item, f"{ENDED}: more than {work.bounds.memory_mb:,} MB of memory")


def _set_timer(seconds: float) -> None:
    if _PROF:
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _bound_memory(megabytes: int) -> None:
    """Limit the memory of this process to its present size plus what a file may use.

    Only data (heap and private mappings) are limited, because libraries reserve address space that they do not use.
    """
    if resource is None or not os.path.exists("/proc/self/statm"):  # macOS does not enforce it
        return
    with open("/proc/self/statm") as file:
        data = int(file.read().split()[5]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = data + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))


def begin_worker() -> None:
    """Ignore Ctrl-C, which the parent handles, and end when the parent is gone (after kill -9 nobody notifies
    workers).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if _PROF:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
