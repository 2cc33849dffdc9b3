"""Simulated radiographs per second and core, compilation excluded, and their ratio to the target.

Usage: python benchmarks/simulate.py [--pictures 40]
"""

from __future__ import annotations

import argparse
import platform
import time

import numpy as np

from overread.simulation import FINDINGS, SITES, Patient, acquire, radiograph

TARGETS = {128: 15.0, 256: 5.0}


def picture(size: int, number: int) -> None:
    """One picture of a varied patient with two findings, at one of the five sites in turn."""
    rng = np.random.default_rng([7, number])
    patient = Patient("FM"[number % 2], float(rng.uniform(20, 90)), 170.0, float(rng.normal(26, 4)), number)
    found = dict.fromkeys(rng.choice(FINDINGS, 2, replace=False).tolist(), 0.5)
    taken = acquire(SITES[number % 5].device, "AP" if number % 3 == 0 else "PA", rng=rng)
    radiograph(patient, size=size, rng=rng, acquisition=taken, severities=found)


def rate(size: int, pictures: int) -> float:
    """Pictures per second of processor time (process_time, so that a busy machine counts less)."""
    for number in range(5):
        picture(size, number)
    start = time.process_time()
    for number in range(pictures):
        picture(size, number)
    return pictures / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=40)
    count = parser.parse_args().pictures
    print(f"machine: {platform.processor() or platform.machine()}, python {platform.python_version()}, one process")
    for size, target in TARGETS.items():
        found = rate(size, count)
        print(f"{size} px: {found:.1f} pictures/s/core; target {target:.0f}; ratio {found / target:.2f}")


if __name__ == "__main__":
    main()
