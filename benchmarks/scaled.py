"""What decoding at a reduced size would do to the finished picture, in grey levels (0 to 255).

    python benchmarks/scaled.py --folder DICOM_FILES [--size 224]

For every readable file, large enough to keep twice the recipe's size at half its own: the picture from the full decode
beside (a) JPEG 2000 decoded at half size (the values are packed without loss first, so that the wavelet alone differs)
and (b) the stored values averaged over 2 x 2 blocks before the grey scale, as libjpeg's scaled decoding would do it.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from overread.errors import InputError
from overread.images.dicom.radiographs import Radiograph, read_dicom
from overread.images.raster.file_content import ImageFile
from overread.images.recipe.pixel_recipe import Recipe, apply_recipe


def finished(stored: np.ndarray, of: Radiograph, recipe: Recipe) -> np.ndarray:
    made = apply_recipe(ImageFile(stored, of.black, of.white, *stored.shape, table=of.table), recipe)
    return made.astype(np.int64)


def halved_by_wavelet(stored: np.ndarray) -> np.ndarray:
    bits = stored.view(f"u{stored.dtype.itemsize}")
    image = Image.open(io.BytesIO(imagecodecs.jpeg2k_encode(bits, level=0, codecformat="jp2")))
    image.reduce = 1
    return np.asarray(image).astype(bits.dtype).view(stored.dtype)


def halved_by_blocks(stored: np.ndarray) -> np.ndarray:
    rows, columns = (n // 2 for n in stored.shape)
    return np.rint(stored.reshape(rows, 2, columns, 2).mean((1, 3))).astype(stored.dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--size", type=int, default=224)
    asked = parser.parse_args()
    recipe = Recipe(asked.size)
    print(f"{'file':34}{'decoded at half size':22}{'most':>6}{'1 % by':>8}{'mean':>7}")
    for path in sorted(asked.folder.glob("*.dcm")):
        try:
            read = read_dicom(path)
        except InputError:
            continue
        stored = np.ascontiguousarray(read.stored[: read.stored.shape[0] // 2 * 2, : read.stored.shape[1] // 2 * 2])
        if min(stored.shape) < 4 * asked.size:
            continue
        full = finished(stored, read, recipe)
        for name, halved in (("JPEG 2000, wavelet", halved_by_wavelet), ("blocks before greys", halved_by_blocks)):
            apart = np.abs(finished(halved(stored), read, recipe) - full)
            print(f"{path.stem:34}{name:22}{apart.max():6}{np.quantile(apart, 0.99):8.0f}{apart.mean():7.2f}")


if __name__ == "__main__":
    main()
