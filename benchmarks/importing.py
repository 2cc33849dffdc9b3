"""The time of `import overread` in a new process, beside that of an empty one: 0.1 s at most is asked.

python benchmarks/importing.py [--rounds 11]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

_CODE = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def seconds(module: str, rounds: int) -> float:
    """The median time of an import in a new process."""
    command = [sys.executable, "-c", _CODE.format(module)]
    done = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(rounds)]
    return statistics.median(float(each) for each in done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    for module in ("overread", "numpy", "polars"):
        print(f"import {module}: {seconds(module, rounds):.3f} s")


if __name__ == "__main__":
    main()
