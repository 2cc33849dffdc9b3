"""What recording and comparing hashes costs: at most 3 % of the time of a run.

    python benchmarks/integrity.py evaluate ../shared/real/predictions [--rounds 3] [--replicates 2000]
    python benchmarks/integrity.py demo [--rounds 1]
    python benchmarks/integrity.py hash [--megabytes 512]

The same work with and without the records, in turn, in one process: `evaluate` is `overread evaluate` of two networks
on ChestX-ray14 with its report (22,433 images, 14 findings), `demo` is `overread demo`. Without means: sizes only, no
hash, no comparison, no seal, as before there were any. Ratios of whole runs are as noisy as the machine, so the seconds
spent in the functions of `overread.integrity` are counted too, in the runs with records. `hash` prints the speed of
SHA-256 on a file in memory, from which the time of `overread verify` on a large cohort follows.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from overread import integrity
from overread.evaluation import EvaluationConfig
from overread.protocol import demo, evaluate, verify
from overread.tables import write_json

ASKED = 0.03
MODELS = ("zech_densenet121", "haooyuee_nih_25")
COUNTED = ("entry", "difference", "sealed", "write_sealed", "file_hash")


@contextmanager
def without() -> Iterator[None]:
    """Sizes only: no hash, no comparison, no seal."""
    kept = {name: getattr(integrity, name) for name in ("entry", "differences", "check_seal", "write_sealed")}
    integrity.entry = lambda path, **_: {"bytes": path.stat().st_size, "sha256": ""}  # type: ignore[assignment]
    integrity.differences = lambda *_, **__: []  # type: ignore[assignment]
    integrity.check_seal = lambda *_, **__: None  # type: ignore[assignment]
    integrity.write_sealed = write_json
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(integrity, name, function)


@contextmanager
def counted(spent: list[float]) -> Iterator[None]:
    """Add up the seconds in the functions of `integrity`, calls within calls once."""
    kept, depth = {name: getattr(integrity, name) for name in COUNTED}, [0]

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            depth[0] += 1
            begin = time.perf_counter()
            try:
                return function(*args, **named)
            finally:
                depth[0] -= 1
                if not depth[0]:
                    spent[-1] += time.perf_counter() - begin

        return call

    for name, function in kept.items():
        setattr(integrity, name, timed(function))
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(integrity, name, function)


def compare(work: Callable[[Path], object], rounds: int, what: str) -> None:
    """The work with and without records in turn; both, their ratio, and the share that was counted."""
    times: dict[str, list[float]] = {"with": [], "without": []}
    spent, checked = [0.0], []
    for _ in range(rounds):
        for kind in times:
            with tempfile.TemporaryDirectory() as folder, counted(spent) if kind == "with" else without():
                begin = time.perf_counter()
                work(Path(folder) / "out")
                times[kind].append(time.perf_counter() - begin)
                if kind == "with":
                    spent.append(0.0)
                    begin = time.perf_counter()
                    assert all(each.unchanged for each in verify(folder))
                    checked.append(time.perf_counter() - begin)
    one, other = (statistics.median(times[kind]) for kind in times)
    share = statistics.median(s / t for s, t in zip(spent, times["with"], strict=False))
    print(f"{what}: {one:.2f} s with records, {other:.2f} s without: {100 * (one / other - 1):+.1f} %")
    print(f"  in the functions of integrity {100 * share:.2f} % of the run (asked: at most {100 * ASKED:.0f} %)")
    print(f"  `overread verify` of the result: {statistics.median(checked):.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["evaluate", "demo", "hash"])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--megabytes", type=int, default=512)
    given = parser.parse_args()
    if given.what == "demo":
        compare(lambda out: demo(out), given.rounds, "overread demo")
    elif given.what == "evaluate":
        if given.folder is None:
            parser.error("evaluate needs the folder of predictions")
        truth, scores = given.folder / "truth.csv.gz", [given.folder / f"{m}.csv.gz" for m in MODELS]
        config = EvaluationConfig(replicates=given.replicates)
        with tempfile.TemporaryDirectory() as folder:  # the kernels are compiled or loaded once
            evaluate(truth, truth, scores, out=Path(folder), config=EvaluationConfig(replicates=100))
        work = lambda out: evaluate(truth, truth, scores, out=out, config=config)  # noqa: E731
        compare(work, given.rounds, "overread evaluate, 22,433 images x 14 findings x 2 models, with report")
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"\1" * (given.megabytes << 20))
            file.flush()
            begin = time.perf_counter()
            integrity.file_hash(file.name)
            print(f"SHA-256: {given.megabytes / (time.perf_counter() - begin):,.0f} MB per second")


if __name__ == "__main__":
    main()
