"""Mutated inputs of every kind against their readers: each gives a result or an InputError, in bounded time and memory.

    python validation/mutations.py [--count 20000] [--seed 1] [--workers 2] [--kind json] [--folder REAL_DICOM]
    python validation/mutations.py --kind json --only 1234 [--keep FOLDER]      # one case again, with its traceback

Kinds: DICOM, PNG, JPEG, CSV, Parquet, TOML (protocols and configurations), JSON (run.json, notes.json, stage.json,
heat maps, ledger, recipe), arrays (.npy), model folders. Seeds are small valid files made here (and, with --folder, the
.dcm files in it). A case is known by seed, kind and number alone. Worker processes read them; their address space may
grow by 2 GB beyond what the libraries take, a case may take 30 seconds. Anything but a result or an `InputError` is a
failure, and so is a message in the words of a library or with a control character; the exit status is 1.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Connection, wait
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from mutated_cases import case, model_folder
from mutated_readers import read

SHARES = {
    "dicom": 0.15,
    "png": 0.08,
    "jpeg": 0.07,
    "csv": 0.16,
    "parquet": 0.14,
    "toml": 0.14,
    "json": 0.16,
    "npy": 0.03,
    "model": 0.07,
}
LIMIT = 2 << 30
SECONDS = 30.0


def attempt(kind: str, seed: int, number: int, real: list[Path], *, keep: Path | None = None) -> tuple[str, str, str]:
    """Harm, outcome ("read", "refused", or a failure in capitals) and what there is to say of one case."""
    from overread.errors import InputError

    harm, name, data = case(kind, seed, number, real)
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutation-")))
        if name == "recipe.json":
            (folder / "pixels").mkdir(parents=True, exist_ok=True)
            folder = folder / "pixels"
        if kind == "model":
            for file in model_folder().iterdir():
                (folder / file.name).write_bytes(file.read_bytes())
        (folder / name).write_bytes(data)
        try:
            read(kind, folder / name)
        except InputError:
            return harm, "refused", ""
        except AssertionError as error:
            return harm, "WORDS", str(error)
        except MemoryError:
            return harm, "MEMORY", traceback.format_exc(limit=-6)
        except BaseException:  # noqa: BLE001 - whatever it is, it is what this program looks for
            return harm, "TRACEBACK", traceback.format_exc(limit=-6)
    return harm, "read", ""


def work(pipe: Connection, seed: int, real: list[Path]) -> None:
    """Do the cases that come through the pipe, until none comes; the library's own words go nowhere."""
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the life of the process
    os.dup2(sys.stderr.fileno(), 2)  # a panic of Rust's is printed past Python
    for kind in SHARES:  # what loads lazily is loaded before memory is limited
        with contextlib.suppress(ModuleNotFoundError):
            attempt(kind, 0, 0, [])
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT, used + LIMIT))
    while (batch := pipe.recv()) is not None:
        kind, numbers = batch
        for number in numbers:
            pipe.send((number, *attempt(kind, seed, number, real)))
        pipe.send(None)


class Worker:
    """A process and the batch that it is doing; one that dies or hangs is replaced, and its case is a failure."""

    def __init__(self, seed: int, real: list[Path]) -> None:
        self._context, self._given = multiprocessing.get_context("spawn"), (seed, real)
        self.left: list[int] = []
        self._start()

    def _start(self) -> None:
        self.pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=work, args=(theirs, *self._given), daemon=True)
        self._process.start()
        theirs.close()
        self.since = time.perf_counter() + 60  # it loads the libraries first

    def give(self, kind: str, numbers: list[int]) -> None:
        """Take a batch."""
        self.kind, self.left, self.since = kind, list(numbers), max(self.since, time.perf_counter())
        self.pipe.send((kind, self.left))

    def results(self) -> list[tuple[int, str, str, str, float]]:
        """What is done since the last call; `left` is empty when the batch is."""
        found = []
        try:
            while self.pipe.poll(0):
                if (result := self.pipe.recv()) is not None:
                    now = time.perf_counter()
                    found.append((*result, max(0.0, now - self.since)))
                    self.left.remove(result[0])
                    self.since = now
            if self.left and time.perf_counter() - self.since > SECONDS:
                found.append(self._failed("HUNG"))
        except (EOFError, ConnectionResetError, BrokenPipeError):
            found.append(self._failed("CRASHED"))
        return found

    def _failed(self, how: str) -> tuple[int, str, str, str, float]:
        self._process.kill()
        self._process.join()
        number, *rest = self.left
        result = (number, "?", how, f"exit code {self._process.exitcode}", time.perf_counter() - self.since)
        self._start()
        if rest:
            self.give(self.kind, rest)
        self.left = rest
        return result

    def stop(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self._process.join(5)
        self._process.kill()


def run(
    kinds: dict[str, int], seed: int, workers: int, real: list[Path]
) -> list[tuple[str, int, str, str, str, float]]:
    """Every case: kind, number, harm, outcome, words, seconds. Failures are printed as they are found."""
    batches = [(kind, list(range(i, min(i + 50, n)))) for kind, n in kinds.items() for i in range(0, n, 50)]
    batches.reverse()
    crew, done = [Worker(seed, real) for _ in range(workers)], []
    try:
        while batches or any(w.left for w in crew):
            for worker in crew:
                if not worker.left and batches:
                    worker.give(*batches.pop())
            wait([w.pipe for w in crew], timeout=1.0)
            for worker in crew:
                kind = worker.kind
                for result in worker.results():
                    done.append((kind, *result))
                    if result[2].isupper():
                        print(f"{kind} {result[0]} ({result[1]}): {result[2]} {result[3]}", flush=True)
    finally:
        for worker in crew:
            worker.stop()
    return done


def report(done: list[tuple[str, int, str, str, str, float]], *, by_harm: bool) -> None:
    """Print how many of each kind (of one kind: of each harm) were read, refused, or are failures."""
    outcomes = sorted({d[3] for d in done}, reverse=True)
    print(f"| {'harm' if by_harm else 'kind'} | files | {' | '.join(outcomes)} | slowest (s) |")
    print("|" + "---|" * (len(outcomes) + 3))
    for name in dict.fromkeys([*sorted(d[2] if by_harm else d[0] for d in done), "all"]):
        own = [d for d in done if name in (d[2] if by_harm else d[0], "all")]
        counts = collections.Counter(d[3] for d in own)
        cells = [name, f"{len(own):,}", *(f"{counts[o]:,}" for o in outcomes), f"{max(d[5] for d in own):.1f}"]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kind", choices=SHARES)
    parser.add_argument("--only", type=int)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    real = sorted(given.folder.rglob("*.dcm")) if given.folder else []
    if given.only is not None:
        print(*attempt(given.kind, given.seed, given.only, real, keep=given.keep), sep="\n")
        return
    shares = {given.kind: 1.0} if given.kind else SHARES
    begun = time.perf_counter()
    done = run({k: max(1, round(s * given.count)) for k, s in shares.items()}, given.seed, given.workers, real)
    seconds = time.perf_counter() - begun
    report(done, by_harm=bool(given.kind))
    failures = sum(d[3].isupper() for d in done)
    print(f"\n{len(done):,} files in {seconds:.0f} s, seed {given.seed}: {failures} failures")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
