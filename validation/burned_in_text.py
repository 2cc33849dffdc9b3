"""Burned-in text: how much of it is found, and how often it is seen where there is none.

    python validation/burned_in_text.py [--pictures 60] [--folder REAL_PICTURES]

Lines such as a console burns in (name, number, date, hospital) are drawn into simulated radiographs, and with --folder
into real ones, enlarged to the size of a detector: white or black, with and without a border, 14 to 44 pixels high, in
a corner or anywhere. Found = boxes cover at least half of the line. The same pictures without a line give the false
alarms; side markers and projections (R, PA, PORTABLE) need not be blacked out. Needs Tesseract.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from overread import simulation
from overread.images.deidentification.burned_in_text import find_text

LINES = (
    "DOE^JANE 1950-01-31",
    "Meier, Hans  ID 4711822",
    "12.03.2019 14:32",
    "St. Marys Hospital",
    "MRN 00871234",
    "Ref: Dr. Oduya",
    "GARCIA LOPEZ M",
    "Acc 20190312-77",
)
MARKERS = ("R", "L", "PA", "AP PORTABLE", "ERECT", "R PA")
SIDE = 2000


def pictures(n: int, folder: Path | None, rng: np.random.Generator) -> list[tuple[str, np.ndarray]]:
    """Pictures of about 2,000 pixels."""
    made = []
    for i in range(n):
        small = simulation.radiograph(simulation.Patient(anatomy=i), size=512, rng=np.random.default_rng(i)).pixels
        made.append(("simulated", _large(small)))
    if folder:
        files = sorted(folder.glob("**/*.jpg")) + sorted(folder.glob("**/*.png"))
        for file in rng.choice(np.array(files, dtype=object), min(n, len(files)), replace=False):
            made.append(("real", _large(np.asarray(Image.open(file).convert("L")))))
    return made


def _large(picture: np.ndarray) -> np.ndarray:
    scale = SIDE / max(picture.shape)
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    noise = np.random.default_rng(0).normal(0, 3, size[::-1])
    large = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    return np.clip(large + noise, 0, 255).astype(np.uint8)


def burned(
    picture: np.ndarray, line: str, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[int, int, int, int], int]:
    """The picture with a line in it, the line's box (top, left, bottom, right), and its height."""
    height = int(rng.choice([14, 20, 28, 44]))
    font = ImageFont.load_default(size=height)
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = draw.textbbox((0, 0), line, font=font)
    room_x, room_y = picture.shape[1] - right - 20, picture.shape[0] - bottom - 20
    corner = rng.random() < 0.5
    x = int(rng.choice([20, room_x]) if corner else rng.integers(20, room_x))
    y = int(rng.choice([20, room_y]) if corner else rng.integers(20, room_y))
    white = rng.random() < 0.8
    border = int(rng.random() < 0.5)
    ink, other = (255, 0) if white else (0, 255)
    draw.text((x, y), line, font=font, fill=ink, stroke_width=2 * border, stroke_fill=other)
    return np.asarray(image), (y + top, x + left, y + bottom, x + right), height


def covered(box: tuple[int, int, int, int], found: list) -> float:
    """The share of the line's width that boxes cover, where they cover most of its height."""
    top, left, bottom, right = box
    held = np.zeros(max(1, right - left), bool)
    for b in found:
        if min(b.bottom, bottom) - max(b.top, top) >= 0.6 * (bottom - top):
            held[max(0, b.left - left) : max(0, b.right - left)] = True
    return float(held.mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    rows: dict[tuple[str, str], list[float]] = {}
    seconds: list[float] = []
    for kind, picture in pictures(given.pictures, given.folder, rng):
        begun = time.perf_counter()
        clean = find_text(picture)
        seconds.append(time.perf_counter() - begun)
        rows.setdefault((kind, "false alarm, nothing burned in"), []).append(float(bool(clean)))
        marked, _, _ = burned(picture, str(rng.choice(MARKERS)), rng)
        rows.setdefault((kind, "false alarm, marker only"), []).append(float(bool(find_text(marked))))
        image, box, height = burned(picture, str(rng.choice(LINES)), rng)
        share = covered(box, find_text(image))
        rows.setdefault((kind, f"found, letters {height} px"), []).append(float(share >= 0.5))
        rows.setdefault((kind, "found, all sizes"), []).append(float(share >= 0.5))
    for (kind, what), values in sorted(rows.items()):
        print(f"{kind:10} {what:34} {sum(values):4.0f} of {len(values):4}  {np.mean(values):6.3f}")
    middle, slow = np.median(seconds), np.quantile(seconds, 0.9)
    print(f"seconds per picture without text: median {middle:.2f}, 90th percentile {slow:.2f}")


if __name__ == "__main__":
    main()
