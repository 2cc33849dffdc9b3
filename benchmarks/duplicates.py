"""All near pairs of 112,120 fingerprints: at most 60 s are asked; beside XOR and popcount in NumPy, block by block.

    python benchmarks/duplicates.py [--images 112120] [--numpy-rows 2000]

Fingerprints are random, with copies of a few bits' difference planted. NumPy compares the first rows with all others;
its time for all pairs is worked out from them. Then the two other steps, per picture: fingerprints and correlations.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from overread.images.fingerprint import correlation, fingerprints, near


def numpy_near(prints: np.ndarray, rows: int, within: int) -> int:
    found = 0
    for i in range(rows):
        apart = np.bitwise_count(prints[i + 1 :] ^ prints[i]).sum(1)
        found += int((apart <= within).sum())
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=112_120)
    parser.add_argument("--numpy-rows", type=int, default=2000)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    prints = rng.integers(0, 2**63, (given.images, 4), dtype=np.uint64)
    copies = rng.choice(given.images, 200, replace=False)
    prints[copies[:100]] = prints[copies[100:]] ^ np.uint64(3)
    near(prints[:50])  # compiled before the clock starts
    begun = time.perf_counter()
    pairs, _ = near(prints)
    ours = time.perf_counter() - begun
    begun = time.perf_counter()
    numpy_near(prints, given.numpy_rows, 61)
    share = 1 - (1 - given.numpy_rows / given.images) ** 2
    theirs = (time.perf_counter() - begun) / share
    print(f"{given.images:,} fingerprints: {ours:.1f} s, {len(pairs)} pairs")
    print(f"NumPy: {theirs:.0f} s (from {given.numpy_rows} rows), {theirs / ours:.1f}x")
    pixels = rng.integers(0, 255, (320, 224, 224), dtype=np.uint8)  # as a build does it: a few megabytes at a time
    for name, work, n in (("fingerprints", lambda: fingerprints(pixels[:160]), 160),
                          ("correlations", lambda: correlation(pixels[:160], pixels[160:]), 160)):  # fmt: skip
        work()
        begun = time.perf_counter()
        for _ in range(10):
            work()
        print(f"{name} at 224 px: {10 * n / (time.perf_counter() - begun):,.0f} per second")


if __name__ == "__main__":
    main()
