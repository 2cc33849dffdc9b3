"""Near duplicates: how far pictures in other clothes lie from themselves, and strangers from each other.

    python validation/near_duplicates.py FOLDER_OF_PICTURES [--pictures 200] [--strangers 1000] [--size 128]

Every picture is stored by the usual recipe, then changed; its fingerprint and its correlation are compared with those
of the unchanged one. Strangers: all pairs of the pictures that were drawn (one per file; some may be of one patient):
how many pass the first step, and how alike the closest are.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from overread.images.fingerprint import ALIKE, NEAREST, correlation, fingerprints, near
from overread.images.recipe import Recipe
from overread.images.store import read_image


def changes(picture: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    image, n = Image.fromarray(picture), len(picture)
    held = io.BytesIO()
    image.save(held, "JPEG", quality=40)
    small = image.resize((round(0.7 * n),) * 2, Image.Resampling.BILINEAR)
    made = {
        "JPEG, quality 40": np.asarray(Image.open(held)),
        "made smaller by 30 % and back": np.asarray(small.resize((n, n), Image.Resampling.BICUBIC)),
        "gamma 0.7": (255 * (picture / 255.0) ** 0.7).astype(np.uint8),
        "contrast 0.7, brighter": np.clip(picture * 0.7 + 30, 0, 255).astype(np.uint8),
        "noise of 8 grey levels": np.clip(picture + rng.normal(0, 8, picture.shape), 0, 255).astype(np.uint8),
        "moved by 3 pixels": np.roll(picture, 3, 1),
    }
    for c in (1, 2, 4):
        cut = image.crop((c, c, n - c, n - c)).resize((n, n), Image.Resampling.BILINEAR)
        made[f"cropped by {c} pixels on each side"] = np.asarray(cut)
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--strangers", type=int, default=1000)
    parser.add_argument("--size", type=int, default=128)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    files = sorted(p for p in given.folder.rglob("*") if p.suffix in (".png", ".jpg", ".jpeg", ".dcm"))
    chosen = rng.choice(np.array(files, dtype=object), min(given.strangers, len(files)), replace=False)
    pictures = np.stack([read_image(f, Recipe(given.size, "pad")) for f in chosen])
    some = pictures[: given.pictures]
    changed = [changes(p, rng) for p in some]
    own = fingerprints(some)
    print(f"{'change':38} bits apart: median, 95th  correlation: median, least  found")
    for name in changed[0]:
        other = np.stack([c[name] for c in changed])
        apart = np.bitwise_count(own ^ fingerprints(other)).sum(1)
        alike = correlation(some, other)
        found = (apart <= NEAREST) & (alike >= ALIKE)
        bits = f"{np.median(apart):18.0f} {np.quantile(apart, 0.95):6.0f}"
        print(f"{name:38} {bits} {np.median(alike):20.2f} {alike.min():6.2f} {found.mean():7.3f}")
    pairs, _ = near(fingerprints(pictures))
    alike = correlation(pictures[pairs[:, 0]], pictures[pairs[:, 1]])
    n = len(pictures) * (len(pictures) - 1) // 2
    most = np.sort(alike)[::-1][:5].round(3)
    print(f"strangers: {len(pairs)} of {n:,} pairs pass the first step; the most alike: {most}")


if __name__ == "__main__":
    main()
