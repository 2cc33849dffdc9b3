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
import json
import multiprocessing
import os
import re
import resource
import sys
import tempfile
import time
import tomllib
import traceback
import zlib
from collections.abc import Callable
from importlib import resources
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import mutated_dicom as dicom
import mutated_files as files
import numpy as np

SHARES = {
    "dicom": 0.15, "png": 0.08, "jpeg": 0.07, "csv": 0.16, "parquet": 0.14, "toml": 0.14, "json": 0.16, "npy": 0.03,
    "model": 0.07,
}  # fmt: skip
LIMIT = 2 << 30
SECONDS = 30.0
# What Python and the libraries say in their own messages: none of it may enter ours.
FOREIGN = re.compile(
    r"Error\b|Exception|pydicom|pydantic|imagecodecs|numpy|polars|NoneType|could not convert|codec can't|unpack\b|"
    r"invalid literal|has no attribute|<class|panicked"
)
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def case(kind: str, seed: int, number: int, real: list[Path]) -> tuple[str, str, bytes]:
    """The harm, the name of the file and its content."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
    if kind == "dicom":
        if real and rng.random() < 0.3:
            data = files.pick(rng, real).read_bytes()
        else:
            data = dicom.picture(files.pick(rng, (*dicom.PLAIN, *dicom.ENCODE)), rng)
        return _named("x.dcm", dicom.mutated(data, rng))
    if kind in ("png", "jpeg"):
        data = files.picture_bytes(rng, kind.upper())
        chunks = kind == "png" and rng.random() < 0.6
        return _named(f"x.{kind}", (files.harmed_chunks if chunks else files.harmed_bytes)(data, rng))
    if kind in ("csv", "parquet"):
        name, frame = files.pick(rng, list(files.frames(rng).items()))
        make = files.csv_bytes if kind == "csv" else files.parquet_bytes
        return _named(f"{name.split()[-1]}.{kind}", make(frame, rng))
    if kind == "toml":
        name, value = files.pick(rng, list(_configurations().items()))
        return _named(name, files.toml_bytes(value, rng))
    if kind == "json":
        name, value = files.pick(rng, list(_records().items()))
        return _named(name, files.json_bytes(value, rng))
    if kind == "npy":
        return _named("part-00000.npy", files.harmed_bytes(_array(rng), rng))
    name = files.pick(rng, ("model.json", "model.json", "weights.safetensors", "train_patients.txt"))
    if name == "model.json":
        return _named(name, files.json_bytes(_model_record(), rng))
    return _named(name, files.harmed_bytes((_model_folder() / name).read_bytes(), rng))


def _named(name: str, harmed: tuple[str, bytes]) -> tuple[str, str, bytes]:
    return harmed[0], name, harmed[1]


def _configurations() -> dict[str, dict[str, Any]]:
    demo = resources.files("overread.protocols").joinpath("demo.toml").read_text(encoding="utf-8")
    sections = {
        "cohort": {"views": ["PA"], "ages": [18, 90], "fractions": [0.7, 0.1, 0.2], "seed": 3, "recipe": {"size": 64}},
        "evaluation": {
            "findings": ["edema"], "replicates": 100, "confidence": 0.95, "subgroups": ["sex"], "seed": 1,
            "missing_allowed": {"labels": 0.5}, "specificities": [0.9], "age_bands": [40, 60],
            "spellings": {"sex": {"1": "M"}}, "roles": {"pooled": "a", "single": {"b": "north"}},
            "mapping": [{"finding": "edema", "outputs": ["edema"]}], "references": ["majority"],
        },
        "training": {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "augmentation": {"rotation": 5.0}, "seed": 0},
        "sample": {"n": 100, "by": ["finding", "site"], "floor": 2, "seed": 1},
        "deidentification": {},
    }  # fmt: skip
    return {"study.toml": tomllib.loads(demo), **{f"{k}.toml": {k: v} for k, v in sections.items()}}


def _records() -> dict[str, Any]:
    entry = _entry()
    return {
        "run.json": {
            "command": "evaluate", "status": "complete", "fingerprint": "ab", "config": {"seed": 1, "findings": []},
            "inputs": {"images": "ab"}, "seed": 1, "started": "2026-01-01T00:00:00+00:00", "versions": {"x": "2"},
            "machine": {"cores": 2}, "notes": {}, "outputs": {"a.parquet": {"bytes": 4, "sha256": "ab"}},
            "seconds": 1.5,
        },
        "notes.json": {"notes": ["a"], "opened": [{"analysis": "x", "models": ["a"], "cases": 3}],
                       "ledger": {"number": 1, "hash": "ab"}},
        "stage.json": {"done": "ab"},
        "heatmaps.json": {"findings": ["edema"], "method": "Grad-CAM"},
        "recipe.json": {"size": 32, "fit": "pad", "window": "full"},
        "ledger.jsonl": entry,
        "model.json": _model_record(),
    }  # fmt: skip


def _entry() -> dict[str, Any]:
    from overread import ledger

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        ledger.append(path, analysis="evaluate", models=["a"], cases=3, labels_hash="ab", protocol_hash="")
        entry: dict[str, Any] = json.loads(path.read_text())
    return entry


def _model_record() -> dict[str, Any]:
    point = {"threshold": 0.5, "specificity": 0.9, "sensitivity": 0.8, "target": 0.9, "at": "x", "note": ""}
    return {
        "format": 1, "name": "m", "kind": "single", "findings": ["edema", "mass"], "not_outputs": [],
        "architecture": {"network": "densenet-tiny", "channels": 1, "outputs": 2, "normalisation": "unit"},
        "recipe": {"size": 32, "fit": "crop", "window": "full"}, "training_sites": ["north"],
        "recalibration": {f: {"intercept": 0.0, "slope": 1.0, "note": ""} for f in ("edema", "mass")},
        "operating_points": {f: {"spec90": point} for f in ("edema", "mass")}, "n_train_images": 9,
        "positive_weights": {"edema": 1.5}, "protocol_hash": "ab", "members": ["."],
    }  # fmt: skip


def _array(rng: np.random.Generator) -> bytes:
    import io

    held = io.BytesIO()
    array = files.pick(rng, (np.zeros((4, 32, 32), np.uint8), np.zeros((4, 1, 7, 7), np.float16)))
    np.save(held, array)
    return held.getvalue()


_FOLDERS: dict[str, tempfile.TemporaryDirectory[str]] = {}  # removed when the process ends


def _model_folder() -> Path:
    """A whole model folder, made once in every process."""
    if "model" not in _FOLDERS:
        from safetensors.torch import save_file

        from overread.learn.model import write_record
        from overread.learn.network import Architecture, build

        _FOLDERS["model"] = tempfile.TemporaryDirectory(prefix="mutations-")
        folder = Path(_FOLDERS["model"].name)
        save_file(build(Architecture("densenet-tiny", 1, 2)).state_dict(), folder / "weights.safetensors")
        (folder / "train_patients.txt").write_text("p1\np2\n")
        write_record(folder, {k: v for k, v in _model_record().items() if k not in ("format", "members")})
    return Path(_FOLDERS["model"].name)


def read(kind: str, path: Path) -> None:
    """Read a file by every reader that a command would use for it; the answer is that of the first."""
    from overread.errors import InputError

    refused: list[InputError | None] = []
    for reader in READERS[kind](path):
        try:
            reader()
            refused.append(None)
        except InputError as error:
            refused.append(error)
            check_words(str(error))
    if refused[0] is not None:
        raise refused[0]


def check_words(said: str) -> None:
    """Refuse a message that has a library's words, or characters that act on a terminal."""
    if found := FOREIGN.search(said) or CONTROLS.search(said):
        raise AssertionError(f"{found[0]!r} in {said[:500]!a}")


def _read_dicom(path: Path) -> list[Callable[[], object]]:
    from overread.images.dicom import decode_dicom
    from overread.images.header import dataset_of, header_of

    data = path.read_bytes()
    return [
        lambda: decode_dicom(data, "fuzz"),
        lambda: header_of(dataset_of(data[: 1 << 20], "fuzz", with_pixels=False), "fuzz"),
    ]


def _read_picture(path: Path) -> list[Callable[[], object]]:
    from overread.images.making import read_image
    from overread.images.recipe import Recipe

    return [lambda: read_image(path, Recipe(size=32)), lambda: read_image(path, Recipe(32, "pad", "percentile"))]


def _read_table(path: Path) -> list[Callable[[], object]]:
    from overread import tables
    from overread.cohort import CohortConfig
    from overread.cohort.split_list import listed
    from overread.protocol.validation import check

    name = path.name.split(".")[0]
    images = tables.check(files.frames(np.random.default_rng(0))["images"], "images")
    return [
        lambda: check(path), lambda: check(path, name), lambda: tables.read(path, name),
        lambda: listed(images, CohortConfig(split_file=str(path), split_unlisted="train")),
    ]  # fmt: skip


def _read_toml(path: Path) -> list[Callable[[], object]]:
    from overread.cli.given import stated
    from overread.protocol import load, section
    from overread.protocol.files import _stated
    from overread.protocol.validation import SECTIONS, check

    def configured() -> None:
        for name, kind in SECTIONS.items():
            if name != "options":
                section(kind, stated(path, name, alone=False), name)

    return [lambda: check(path), lambda: load(path), lambda: _stated(path), configured]


def _read_json(path: Path) -> list[Callable[[], object]]:
    from overread import ledger, runs
    from overread.images import store
    from overread.protocol.stage import _stamp
    from overread.report.evidence import _json
    from overread.tables import records
    from overread.tables.kinds import MapsRecord, ModelRecord, Notes

    kinds = {"notes.json": Notes, "heatmaps.json": MapsRecord, "model.json": ModelRecord}
    made: list[Callable[[], object]] = [lambda: runs.read_json(path)]
    if path.name == "run.json":
        made += [lambda: runs.read(path.parent), lambda: runs.complete(path.parent, "ab"),
                 lambda: runs.input_hash(path.parent)]  # fmt: skip
    elif path.name == "stage.json":
        made += [lambda: _stamp(path.parent)]
    elif path.name == "ledger.jsonl":
        made = [
            lambda: ledger.read(path),
            lambda: ledger.faults(path, {"number": 1, "hash": "ab"}),
            lambda: ledger.append(path, analysis="a", models=[], cases=1, labels_hash="", protocol_hash=""),
        ]
    elif path.name == "recipe.json":
        made += [lambda: store.open_store(path.parent.parent)]
    else:
        made += [lambda: records.read_json(path, kinds[path.name]), lambda: _json(path, kinds[path.name])]
    return made


def _read_array(path: Path) -> list[Callable[[], object]]:
    from overread.tables.records import read_array

    return [lambda: read_array(path, (np.uint8,), (None, 32, 32)).sum(),
            lambda: read_array(path, (np.float16,), (None, 1, None, None)).sum()]  # fmt: skip


def _read_model(path: Path) -> list[Callable[[], object]]:
    from overread.learn.model import load_network, open_model
    from overread.learn.weights import read_state

    made: list[Callable[[], object]] = [lambda: open_model(path.parent), lambda: load_network(open_model(path.parent))]
    return [*made, lambda: read_state(path)] if path.suffix == ".safetensors" else made


READERS: dict[str, Callable[[Path], list[Callable[[], object]]]] = {
    "dicom": _read_dicom, "png": _read_picture, "jpeg": _read_picture, "csv": _read_table, "parquet": _read_table,
    "toml": _read_toml, "json": _read_json, "npy": _read_array, "model": _read_model,
}  # fmt: skip


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
            for file in _model_folder().iterdir():
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
