"""Mutated files of every kind give a result or an InputError: a short run of the program that runs for long."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).resolve().parents[1] / "validation" / "mutations.py"
KINDS = ("dicom", "png", "jpeg", "csv", "parquet", "toml", "json", "npy", "model")


def test_mutated_files_are_read_or_refused_in_bounded_time_and_memory():
    done = subprocess.run(
        [sys.executable, PROGRAM, "--count", "300", "--seed", "7", "--workers", "1"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line.startswith("|")
    ]
    assert rows[0] == ["kind", "files", "refused", "read", "slowest (s)"]
    counts = {row[0]: [int(c) for c in row[1:4]] for row in rows[2:]}
    assert set(counts) == {*KINDS, "all"}
    assert all(files == refused + read for files, refused, read in counts.values())
    assert counts["all"][0] == 300
    assert all(counts[kind][2] for kind in ("dicom", "jpeg", "csv", "json"))  # not everything is refused


@pytest.mark.parametrize("kind", KINDS)
def test_a_case_is_known_by_its_number(kind, monkeypatch):
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    import mutations

    assert mutations.case(kind, 1, 5, [])[:2] == mutations.case(kind, 1, 5, [])[:2]
    cases = [mutations.case(kind, 1, n, [])[2] for n in range(6)]
    assert len(set(cases)) > 1
