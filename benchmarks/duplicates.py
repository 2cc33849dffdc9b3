"""The search for near-duplicates: the proposal of pairs among all images, and the alignment of proposed pairs.

    python benchmarks/duplicates.py [--images 112120]

Images are smooth noise with as many frequencies as a chest; copies of 200 of them, cropped, are planted.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from overread.images import alignment, fingerprint, near_duplicates, neighbours


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=112_120)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    side = fingerprint.SIDE
    smooth = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(256, side, side))) / (1 + np.arange(side // 2 + 1)) ** 1.5)
    weights = rng.normal(size=(given.images, 256)).astype(np.float32)
    thumbs = np.empty((given.images, side, side), np.uint8)
    for at in range(0, given.images, 4096):
        values = (weights[at : at + 4096] @ smooth.reshape(256, -1).astype(np.float32)).reshape(-1, side, side)
        deviation = values.std(axis=(1, 2), keepdims=True)
        thumbs[at : at + 4096] = np.clip(128 + 50 * values / deviation, 0, 255)
    shapes = np.tile(np.int64([side, side]), (given.images, 1))
    begun = time.perf_counter()
    views = fingerprint.view_boxes(side, side)
    white = neighbours.Whitening.of(1, np.zeros(fingerprint.LENGTH), np.eye(fingerprint.LENGTH))
    for at in range(0, 1024, 256):
        white(fingerprint.describe(thumbs[at : at + 256], views).reshape(-1, fingerprint.LENGTH))
    each = (time.perf_counter() - begun) / 1024
    print(f"descriptions: {1 / each:,.0f} images per second, {len(views)} views each")
    begun = time.perf_counter()
    pairs, *_ = near_duplicates._proposed(thumbs, shapes)
    taken = time.perf_counter() - begun
    print(f"{given.images:,} images: {taken:.1f} s to propose {len(pairs):,} pairs, descriptions included", flush=True)
    some = np.tile(rng.integers(0, given.images, 2000)[:, None], 2)
    whole = np.tile([0.0, 0.0, 1.0, 1.0], (2000, 1))
    for points in (alignment.COARSE, alignment.FINE):
        alignment.align(thumbs, thumbs, some[:2], alignment.view_map(whole[:2]), whole[:2], points=points)
        begun = time.perf_counter()
        alignment.align(thumbs, thumbs, some, alignment.view_map(whole), whole, points=points)
        print(f"alignment on {points} x {points} points: {2000 / (time.perf_counter() - begun):,.0f} pairs per second")


if __name__ == "__main__":
    main()
