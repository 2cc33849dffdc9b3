"""The search for near-duplicates: processor time per image and memory.

    python benchmarks/duplicates.py [--images 112120]

Images are smooth noise with as many frequencies as a chest; cropped copies of 200 of them are among them. They are made
when they are read, as the pixels of a large cohort would not fit into memory beside the search.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from PIL import Image

from overread.images.duplicates import near_duplicates
from overread.images.recipe.pixel_recipe import Recipe

_COPIES, _SIDE, _WAVES = 200, 160, 256


class Noise:
    """A store of images that are made when they are read; the last ones are crops of the first ones."""

    def __init__(self, images: int) -> None:
        self.recipe, self.images = Recipe(_SIDE, "pad"), images
        rng = np.random.default_rng(0)
        spectrum = np.fft.rfft2(rng.normal(size=(_WAVES, _SIDE, _SIDE)))
        frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)) * _SIDE
        waves = np.fft.irfft2(spectrum / (1 + frequency) ** 1.8, (_SIDE, _SIDE)).astype(np.float32)
        self._waves = waves.reshape(_WAVES, -1)
        self.seconds = 0.0  # of processor time that making images took

    def gather(self, part: np.ndarray, row: np.ndarray) -> np.ndarray:
        begun = time.process_time()
        source = np.where(row < self.images - _COPIES, row, row - self.images + _COPIES)
        weights = np.stack([np.random.default_rng(k).normal(size=_WAVES).astype(np.float32) for k in source.tolist()])
        values = (weights @ self._waves).reshape(-1, _SIDE, _SIDE)
        greys = np.clip(128 + 50 * values / values.std(axis=(1, 2), keepdims=True), 0, 255).astype(np.uint8)
        for k in np.flatnonzero(source != row):
            left, top, right, bottom = np.random.default_rng(int(row[k])).integers(4, 24, 4)
            crop = Image.fromarray(greys[k]).crop((left, top, _SIDE - right, _SIDE - bottom))
            greys[k] = np.asarray(crop.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))
        self.seconds += time.process_time() - begun
        return greys

    def release(self) -> None:
        pass


def resident() -> float:
    """Resident memory of this process in GB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e9


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=112_120)
    count = parser.parse_args().images
    near_duplicates.find(Noise(512), np.zeros(512, int), np.arange(512), ["one"] * 512)  # compiles
    store, before = Noise(count), resident()
    wall, processor = time.perf_counter(), time.process_time()
    pairs, *_ = near_duplicates.find(store, np.zeros(count, int), np.arange(count), ["one"] * count)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor - store.seconds
    true = sum(j - i == count - _COPIES for i, j in pairs.tolist())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{count:,} images: {processor:.1f} s of processor time, {1e3 * processor / count:.2f} ms per image; "
        f"{wall:.1f} s in all with making the images; memory {before:.2f} GB before, {peak:.2f} GB at most; "
        f"{true} of {_COPIES} crops and {len(pairs) - true} other pairs found"
    )


if __name__ == "__main__":
    main()
