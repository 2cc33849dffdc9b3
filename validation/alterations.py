"""Files of a finished study altered one at a time: `overread verify` names each, and the next command refuses it.

    python validation/alterations.py [--least 200] [--folder FOLDER]

Two small simulated studies are conducted (once; `--folder` keeps them). One file of each kind in each folder of the
first is then altered in every way that applies: a byte changed, cut short, emptied, deleted, replaced by the same file
of the other study, one value of a table changed, one value of a record changed, a byte changed with size and time kept,
replaced by a link, exchanged with another file, a file added, and touched without a change. After each alteration the
whole study is verified, then `overread run` opens it again; the study is then put back. Printed: alterations of each
way, how many were named by `verify`, how many were refused, by name, by the command, and those that neither names.
A byte changed with size and time kept is found by `verify` (and by the seals of records) alone: the commands compare
size and time first; of models it is `predict` that must refuse it, which always hashes them. Of two files that were
exchanged either may be named. Copies in the study that no command reads again (protocol.toml, run.json of the study,
the ledger) are opened by `verify` alone too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from overread.errors import InputError
from overread.protocol import run, verify
from overread.training.networks.model_folder import open_model

PROTOCOL = """
[study]
title = "Three sites"
seed = {seed}
training_seeds = [1, 2]
[sources.simulated]
reader = "simulate"
[sources.simulated.options]
images_per_site = {{ alder = 40, birch = 40, dogwood = 30 }}
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
epochs = 1
batch_size = 8
[models.pooled]
sites = ["alder", "birch"]
role = "other"
[evaluation]
findings = ["cardiomegaly", "pleural_effusion"]
replicates = 100
"""

Alter = Callable[[Path, Path], bool]


@dataclass(frozen=True)
class Case:
    """One alteration: the way, the file within the study, and whether no command but `verify` need notice it."""

    way: str
    name: str
    quiet: bool = False


def change_byte(path: Path, _: Path) -> bool:
    """Change one byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    if not data:
        return False
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return True


def cut(path: Path, _: Path) -> bool:
    """Leave half of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return bool(data)


def empty(path: Path, _: Path) -> bool:
    """Leave nothing of a file."""
    was = path.stat().st_size
    path.write_bytes(b"")
    return was > 0


def delete(path: Path, _: Path) -> bool:
    """Remove a file."""
    path.unlink()
    return True


def replace_by_other(path: Path, other: Path) -> bool:
    """Put the same file of another study in its place."""
    if not other.is_file() or other.read_bytes() == path.read_bytes():
        return False
    path.write_bytes(other.read_bytes())
    return True


def change_value(path: Path, _: Path) -> bool:
    """Change one value of a Parquet table and write it again."""
    if path.suffix != ".parquet":
        return False
    frame = pl.read_parquet(path)
    column = next((c for c, kind in frame.schema.items() if kind in (pl.Float64, pl.Int32, pl.Int64)), None)
    if column is None or not frame.height:
        return False
    frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 0)
        .then(pl.lit(0.99 if frame.schema[column] == pl.Float64 else 7))
        .otherwise(pl.col(column))
        .cast(frame.schema[column])
        .alias(column)
    ).write_parquet(path)
    return True


def edit_record(path: Path, _: Path) -> bool:
    """Change one value of a JSON record, keep all else, and write it as it was written."""
    if path.suffix != ".json":
        return False
    record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        return False
    key = next(
        (k for k in ("seconds", "name", "done", "notes", "findings", "key", "shape", *record) if k in record), ""
    )
    record[key] = "altered"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return True


def keep_size_and_time(path: Path, other: Path) -> bool:
    """Change a byte and put the time of the last change back."""
    state = path.stat()
    if not change_byte(path, other):
        return False
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return True


def link(path: Path, _: Path) -> bool:
    """Put a link to an altered copy elsewhere in place of a file."""
    elsewhere = Path(tempfile.mkdtemp()) / path.name
    shutil.move(path, elsewhere)
    change_byte(elsewhere, elsewhere)
    path.symlink_to(elsewhere)
    return True


def swap(path: Path, _: Path) -> bool:
    """Exchange the contents of a file and the next of the same ending in its folder."""
    mates = sorted(p for p in path.parent.glob(f"*{path.suffix}") if p.is_file())
    mate = mates[(mates.index(path) + 1) % len(mates)]
    if mate.read_bytes() == path.read_bytes():
        return False
    one, two = path.read_bytes(), mate.read_bytes()
    path.write_bytes(two)
    mate.write_bytes(one)
    return True


WAYS: dict[str, Alter] = {
    "a byte changed": change_byte,
    "cut to half": cut,
    "emptied": empty,
    "deleted": delete,
    "replaced by that of another study": replace_by_other,
    "one value of a table changed": change_value,
    "one value of a record changed": edit_record,
    "a byte changed, size and time kept": keep_size_and_time,
    "a link to an altered copy": link,
    "exchanged with another file": swap,
}
SEALED = ("run.json", "stage.json", "model.json", "weights.safetensors", "train_patients.txt")
MODEL = SEALED[2:]


def conduct(folder: Path) -> tuple[Path, Path, Path]:
    """The two studies and the protocol of the first."""
    for seed in (5, 6):
        path = folder / f"protocol-{seed}.toml"
        path.write_text(PROTOCOL.format(seed=seed), encoding="utf-8")
        run(path, folder / f"study-{seed}", workers=1)
    return folder / "study-5", folder / "study-6", folder / "protocol-5.toml"


def kinds(study: Path) -> list[str]:
    """One file of each name in each folder; of pictures and figures the first of a folder."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted(p for p in study.rglob("*") if p.is_file()):
        name = path.relative_to(study)
        many = path.suffix in (".png", ".dcm", ".svg", ".csv", ".md") and len(name.parts) > 2
        many = many or "regions" in name.parts
        found.setdefault((str(name.parent), path.suffix if many else path.name), name.as_posix())
    return sorted(found.values())


def cases(study: Path) -> Iterator[Case]:
    """Every way for a file of every kind."""
    unread = ("protocol.toml", "protocol.json", "run.json", "ledger.jsonl")
    for name in kinds(study):
        for way in WAYS:
            kept = way == "a byte changed, size and time kept"
            quiet = name in unread or (kept and Path(name).name not in SEALED)
            yield Case(way, name, quiet)


def altered(case: Case, study: Path, other: Path, protocol: Path) -> tuple[bool, bool, bool] | None:
    """Alter, verify, open again, put back: whether it was named, refused, and was to be refused; None: no such way."""
    path, kept = study / case.name, study.with_name("kept")
    if not kept.is_dir():
        shutil.copytree(study, kept)
    try:
        if not WAYS[case.way](path, other / case.name):
            return None
        found = [str(d) for each in verify(study) for d in (*each.differences, *each.faults)]
        names = mates(path) if case.way == "exchanged with another file" else {path.name}
        named = any(name in text for text in found for name in names)
        return named, refused(case, path, study, protocol, names), not case.quiet
    finally:
        shutil.rmtree(study)
        shutil.copytree(kept, study)


def refused(case: Case, path: Path, study: Path, protocol: Path, names: set[str]) -> bool:
    """Whether the next command stops and names the file; a case that only `verify` finds is not run."""
    if case.quiet:
        return False
    try:
        if case.way == "a byte changed, size and time kept" and path.name in MODEL:
            open_model(path.parent)
        else:
            run(protocol, study, workers=1)
    except InputError as error:
        return any(name in str(error) for name in names)
    return False


def mates(path: Path) -> set[str]:
    """The names of a file and of the one that it is exchanged with."""
    of_kind = sorted(p.name for p in path.parent.glob(f"*{path.suffix}") if p.is_file())
    return {path.name, of_kind[(of_kind.index(path.name) + 1) % len(of_kind)]}


def additions(study: Path) -> Iterator[tuple[str, bool]]:
    """A file that nobody wrote, in every folder: whether it was named, and the folder."""
    for folder in sorted({(study / name).parent for name in kinds(study)}):
        extra = folder / "part-00009.npy"
        extra.write_bytes(b"foreign")
        found = [text for each in verify(study) for text in (*map(str, each.differences), *each.remarks)]
        yield folder.relative_to(study).as_posix(), any(extra.name in text for text in found)
        extra.unlink()


def touched(study: Path) -> bool:
    """Whether a study whose files all have new times is still unchanged to `verify`."""
    for path in study.rglob("*"):
        if path.is_file():
            os.utime(path)
    return all(each.unchanged for each in verify(study))


def main(least: int, folder: Path) -> int:
    """Alter, count and print; 1 if an alteration was missed."""
    study, other, protocol = conduct(folder)
    assert all(each.unchanged for each in verify(study)), "the study as it was written"
    counts: dict[str, Counter[str]] = {way: Counter() for way in [*WAYS, "a file added"]}
    missed = []
    for case in cases(study):
        outcome = altered(case, study, other, protocol)
        if outcome is None:
            continue
        named, stopped, wanted = outcome
        counts[case.way].update(n=1, named=named, wanted=wanted, refused=stopped)
        if not named or (wanted and not stopped):
            missed.append(f"{case.name}: {case.way} (named {named}, refused {stopped}, to be refused {wanted})")
    for where, named in additions(study):
        counts["a file added"].update(n=1, named=named)
        missed += [] if named else [f"{where}: a file added"]
    print("| alteration | files | named by `verify` | refused by the next command, of those that it must refuse |")
    print("|---|---|---|---|")
    for way, c in counts.items():
        print(f"| {way} | {c['n']} | {c['named']} | {c['refused']} of {c['wanted']} |")
    total = sum((c for c in counts.values()), Counter())
    print(f"| all | {total['n']} | {total['named']} | {total['refused']} of {total['wanted']} |")
    print(f"\nTouched, not changed: {'unchanged' if touched(study) else 'REPORTED AS CHANGED'}.")
    for line in missed:
        print(f"missed: {line}")
    return int(bool(missed) or total["n"] < least)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--least", type=int, default=200, help="alterations that there must be")
    parser.add_argument("--folder", type=Path, help="where the studies are kept; default: a temporary folder")
    given = parser.parse_args()
    if given.folder is not None:
        given.folder.mkdir(parents=True, exist_ok=True)
    raise SystemExit(main(given.least, given.folder or Path(tempfile.mkdtemp())))
