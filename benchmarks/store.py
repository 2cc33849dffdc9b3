"""What building the pixel store costs beside the decoding that none can avoid, and what workers gain.

    python benchmarks/store.py [--images 200] [--size 224] [--workers 2]

Files are made first: chest-like 8-bit grey pictures as JPEG (2500 x 2048) and PNG (1024 x 1024), and 12-bit DICOM plain
and JPEG-LS (2500 x 2048; a tenth as many). Each is (a) decoded in full by Pillow or pydicom and thrown away, (b) read
by the recipe; then the whole store is built with 1 and with more workers. Files are in the page cache. Reading an epoch
back is benchmarks/loader.py.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import imagecodecs
import numpy as np
import polars as pl
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from overread import runs
from overread.images.dicom.radiographs import stored_values
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store.decode_worker import read_image
from overread.images.store.pixel_store import build, open_store

ROUNDS = 3


def picture(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """Values from 0 to 1 with the spectrum of a radiograph and some noise."""
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :])
    frequency[0, 0] = np.inf
    values = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(rows, columns))) / frequency**1.5, s=(rows, columns))
    values = (values - values.min()) / np.ptp(values)
    return np.clip(values + rng.normal(scale=0.004, size=values.shape), 0, 1)


def write_dicom(path: Path, values: np.ndarray, *, packed: bool) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME1"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.80" if packed else "1.2.840.10008.1.2.1"
    dataset.PixelData = encapsulate([imagecodecs.jpegls_encode(values)]) if packed else values.tobytes()
    dataset["PixelData"].VR = "OB" if packed else "OW"
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)


def make_files(folder: Path, n: int) -> dict[str, list[Path]]:
    """Four originals of each kind, copied: the content is the same, the files are others."""
    rng = np.random.default_rng(0)
    files: dict[str, list[Path]] = {"JPEG": [], "PNG": [], "DICOM plain": [], "DICOM JPEG-LS": []}
    for i in range(4):
        large, small = picture(2500, 2048, rng), picture(1024, 1024, rng)
        Image.fromarray((large * 255).astype(np.uint8)).save(folder / f"{i}.jpg", quality=90)
        Image.fromarray((small * 255).astype(np.uint8)).save(folder / f"{i}.png")
        for packed, name in ((False, "plain"), (True, "packed")):
            write_dicom(folder / f"{name}-{i}.dcm", (large * 4095).astype(np.uint16), packed=packed)
    kinds = {"JPEG": "{}.jpg", "PNG": "{}.png", "DICOM plain": "plain-{}.dcm", "DICOM JPEG-LS": "packed-{}.dcm"}
    for kind, pattern in kinds.items():
        for k in range(n // 10 if "DICOM" in kind else n):
            source = folder / pattern.format(k % 4)
            copy = folder / f"copy-{k:05d}-{source.name}"
            copy.write_bytes(source.read_bytes())
            files[kind].append(copy)
    return files


def decoded(path: Path) -> None:
    """The bare decode by the ordinary library."""
    if path.suffix == ".dcm":
        pydicom.dcmread(path).pixel_array  # noqa: B018
    else:
        with Image.open(path) as image:
            image.load()


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """The median of some rounds."""
    times = []
    for _ in range(ROUNDS):
        begin = clock()
        work()
        times.append(clock() - begin)
    return statistics.median(times)


def each(paths: Sequence[Path], work: Callable[[Path], object]) -> float:
    """Milliseconds of processor time per file."""
    return seconds(lambda: [work(p) for p in paths], time.process_time) / len(paths) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    recipe = Recipe(asked.size)
    print({k: v for k, v in runs.machine().items() if k != "system"})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = make_files(folder, asked.images)
        print(f"{'processor time a file':22} {'bare decode':>12} {'by the recipe':>14} {'ratio':>7}")
        for kind, paths in files.items():
            some = paths[:40]
            try:
                bare = each(some, decoded)
            except RuntimeError:  # pydicom has no plugin for it here: imagecodecs alone
                bare = each(some, stored_values)
            ours = each(some, lambda p: read_image(p, recipe))
            print(f"{kind:22} {bare:9.1f} ms {ours:11.1f} ms {ours / bare:6.2f}x")
        paths = files["JPEG"] + files["PNG"]
        table = pl.DataFrame({"image_id": [p.name for p in paths], "path": [p.name for p in paths]})
        pillow = seconds(lambda: [decoded(p) for p in paths])
        print(f"{len(paths)} JPEG and PNG files, Pillow's full decode alone, 1 thread: {pillow:.2f} s")
        for workers in sorted({1, asked.workers}):
            begin = time.perf_counter()
            images, _ = build(table, folder, folder / f"store-{workers}", recipe, workers=workers)
            took = time.perf_counter() - begin
            print(
                f"store built, {workers} workers: {took:.2f} s, {len(paths) / took:.0f} images/s, {took / pillow:.2f}x"
            )
        begin = time.perf_counter()
        build(table, folder, folder / f"store-{asked.workers}", recipe, workers=asked.workers)
        print(f"built again, all parts there: {(time.perf_counter() - begin) * 1000:.0f} ms")
        store = open_store(folder / f"store-{asked.workers}")
        part, row = images["part"].to_numpy(), images["row"].to_numpy()
        order = np.random.default_rng(1).permutation(len(row))
        batches = np.array_split(order, max(1, len(order) // 32))
        epoch = seconds(lambda: [store.gather(part[b], row[b]) for b in batches])
        print(f"an epoch gathered in batches of 32: {epoch * 1000:.1f} ms, {pillow / epoch:.0f}x faster than decoding")


if __name__ == "__main__":
    main()
