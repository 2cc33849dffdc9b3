"""Studies that are killed at random moments and resumed, compared with studies that are not.

    python validation/kills.py [--kills 50] [--minutes 60] [--seed 1] [--settings unset 1 3 1-unset]

A setting is what OMP_NUM_THREADS is: "unset", a number, or "1-unset" for a study that is begun with 1 and resumed
without it. For each setting one study runs without interruption; its files are the reference. Then studies are started
and, after a random time, killed with SIGKILL, the process and its workers; each is started again, and killed again or
not, until it ends. Every file of the study but reports and records of times is compared: tables, weights, pixels, heat
maps.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import polars as pl

PROTOCOL = """
[study]
title = "Three sites"
seed = 5
training_seeds = [1]
[sources.simulated]
reader = "simulate"
[sources.simulated.options]
images_per_site = { alder = 48, birch = 48, dogwood = 32 }
size = 64
findings = ["cardiomegaly", "pleural_effusion"]
[sites]
internal = ["alder", "birch"]
external = ["dogwood"]
[cohort.recipe]
size = 64
[labels]
learn_from = "report"
reference = "truth"
[training]
network = "densenet-tiny"
epochs = 6
batch_size = 8
checkpoint_minutes = 0.001
[models.pooled]
sites = ["alder", "birch"]
role = "pooled"
[models.alder]
sites = ["alder"]
role = "single"
[evaluation]
findings = ["cardiomegaly", "pleural_effusion"]
replicates = 200
"""

MOST = 6  # kills of one study; then it is left to end
_TIMES = ("seconds", "images_per_second")  # columns
# Records of times, of the machine and of every access to test labels; what shows them.
_RECORDS = ("run.json", "stage.json", "computing.json", "ledger.jsonl", "protocol.json", "made.json")


def contents(study: Path) -> dict[str, str]:
    """The hash of each file of a study by its path; of a table that of its rows, without times.

    Hidden files, such as a write that was killed leaves, do not count.
    """
    found = {}
    for path in sorted(study.rglob("*")):
        name = path.relative_to(study).as_posix()
        if not path.is_file() or path.name.startswith(".") or path.name in _RECORDS or name.startswith("report/"):
            continue
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
            columns = [c for c in frame.columns if c not in _TIMES]
            data = f"{frame.schema}{frame.select(columns).rows()}".encode()
        elif name == "evaluation/notes.json":  # an evaluation that was killed and repeated opened the labels twice
            data = json.dumps(json.loads(path.read_bytes()) | {"ledger": None}, sort_keys=True).encode()
        elif name.startswith("cohort/pixels/part-") and path.suffix == ".json":  # `key` holds times of files
            data = json.dumps(json.loads(path.read_bytes()) | {"key": "", "hash": ""}, sort_keys=True).encode()
        else:
            data = path.read_bytes()
        found[name] = hashlib.sha256(data).hexdigest()
    return found


def environment(setting: str, *, resumed: bool) -> dict[str, str]:
    """The environment of a study; nothing else in it sets a number of threads."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    clean = {k: v for k, v in os.environ.items() if k not in names}
    first, _, second = setting.partition("-")
    value = second if resumed and second else first
    return clean if value == "unset" else clean | {"OMP_NUM_THREADS": value}


def start(protocol: Path, study: Path, setting: str, *, resumed: bool) -> subprocess.Popen[bytes]:
    """Start or resume a study in processes of their own group."""
    program = "from overread.cli import main; main()"
    command = [sys.executable, "-c", program, "run", str(protocol), "-o", str(study), "--workers", "2"]
    log = study.with_suffix(".log").open("ab")
    return subprocess.Popen(
        command, env=environment(setting, resumed=resumed), stdout=log, stderr=log, start_new_session=True
    )


def end(process: subprocess.Popen[bytes], seconds: float | None) -> bool:
    """Whether the study ended within this time; it is killed otherwise."""
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False
    if code:
        raise SystemExit(f"The study failed with {code}: {process.args}")
    return True


def place(study: Path) -> str:
    """The stage under way, or the last that was done."""
    stamps = [(p.stat().st_mtime_ns, p) for p in study.rglob("stage.json")]
    if not stamps:
        return "before the first stage"
    parts = max(stamps)[1].parent.relative_to(study).parts
    under_way = any(part.startswith(".") for part in parts)
    name = parts[0].removeprefix(".").removesuffix(".part")
    return name if under_way else f"after {name}"


def study_with_kills(
    protocol: Path, study: Path, setting: str, *, seconds: float, chance: random.Random, most: int
) -> list[str]:
    """Do a study that is killed at random moments, uniform over `seconds`; the stages in which it was killed."""
    killed: list[str] = []
    while True:
        limit = chance.uniform(0, seconds) if len(killed) < most else None
        begun = any(study.rglob("stage.json"))  # otherwise there is no record, and nothing to go on with
        if end(start(protocol, study, setting, resumed=begun), limit):
            return killed
        killed.append(place(study))


def differences(study: Path, reference: dict[str, str]) -> list[str]:
    """The files that differ from the reference, or are in one of the two only."""
    mine = contents(study)
    return sorted(name for name in mine.keys() | reference.keys() if mine.get(name) != reference.get(name))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=60, help="after which no other study is started")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--settings", nargs="+", default=["unset", "1", str((os.cpu_count() or 1) + 1), "1-unset"])
    given = parser.parse_args()
    chance, stages, begun = random.Random(given.seed), Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        protocol = Path(folder) / "protocol.toml"
        protocol.write_text(PROTOCOL)
        references: dict[str, dict[str, str]] = {}
        results = {setting: Counter[str]() for setting in given.settings}
        seconds = 0.0
        for setting in given.settings:
            clock, study = time.monotonic(), Path(folder) / f"whole-{setting}"
            first = setting.partition("-")[0]
            end(start(protocol, study, first, resumed=False), None)
            seconds = time.monotonic() - clock
            references[setting] = contents(study)
            print(f"{setting}: {seconds:.0f} s without interruption, {len(references[setting])} files", flush=True)
        number = 0
        while (left := given.kills - sum(stages.values())) > 0 and time.monotonic() - begun < 60 * given.minutes:
            setting = given.settings[number % len(given.settings)]
            study = Path(folder) / f"killed-{number}"
            killed = study_with_kills(protocol, study, setting, seconds=seconds, chance=chance, most=min(MOST, left))
            other = differences(study, references[setting])
            stages.update(killed)
            results[setting].update(studies=1, kills=len(killed), identical=not other)
            if other:
                print(f"{setting}, killed in {', '.join(killed)}: {len(other)} files differ: {other[:8]}", flush=True)
            number += 1
        for setting, of in results.items():
            print(f"OMP_NUM_THREADS {setting}: {of['kills']} kills, {of['identical']} of {of['studies']} identical")
        print("; ".join(f"{stage}: {count}" for stage, count in sorted(stages.items())))
        different = {json.dumps(r, sort_keys=True) for r in references.values()}
        print(f"{len(different)} different results of {len(references)} settings; {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
