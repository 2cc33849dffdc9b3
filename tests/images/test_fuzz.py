"""Broken files give an image or an InputError, never anything else: a short run of the program that runs for long."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "validation" / "fuzz_dicom.py"


def test_mutated_files_are_read_or_refused_in_bounded_time_and_memory():
    done = subprocess.run([sys.executable, PROGRAM, "--files", "150", "--seed", "7"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    table = [line.split() for line in done.stdout.splitlines()]
    assert table[0] == ["image", "refused"]
    kinds = {row[0]: sum(map(int, row[1:])) for row in table[1:-1]}
    assert sum(kinds.values()) == 150
    assert set(kinds) == {"bomb", "cut", "flip", "fragments", "lengths", "nest", "odd", "sizes", "splice", "zero"}
