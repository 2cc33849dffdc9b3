"""Reading a radiograph to 224 px, file by file: beside the bare decoder, MONAI and pydicom + scikit-image.

    python benchmarks/dicom.py [--files 4] [--rounds 3] [--size 224] [--workers 2] [--folder REAL_FILES]

Chest-like pictures are made first: PNG (1024 x 1024, 8 bits), JPEG (2500 x 2048, 8 bits) and DICOM (2500 x 2048, 12
bits, MONOCHROME1 with a window) in every transfer syntax that can be written here; or, with --folder, the .dcm files in
it are read. Times are processor time per file, the sides taking turns in one process, the median of the rounds:
- bare: the decoder that we use alone, from bytes in memory to an array that is thrown away (for plain files a copy);
- ours: from the path to uint8 (size, size): file, header, decoder, grey scale, resize;
- MONAI: LoadImage with its PydicomReader (or its PILReader) and Resize in area mode, where MONAI is installed;
- usual: for PNG and deflated files, the bare decoder that most use (Pillow, zlib), where ours is another;
- skimage: pydicom's pixel_array (or Pillow), and scikit-image's resize with anti-aliasing, where it is installed.
At last the same files through one process and through several, by the clock on the wall.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from store import picture

from overread import runs
from overread.images.dicom import codecs
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store.decode_worker import made_in_order, make, read_image
from overread.images.store.malloc_tuning import keep_freed_memory

SYNTAXES: dict[str, tuple[str, Callable[[np.ndarray], bytes]]] = {
    "implicit": ("1.2.840.10008.1.2", np.ndarray.tobytes),
    "explicit": ("1.2.840.10008.1.2.1", np.ndarray.tobytes),
    "big endian": ("1.2.840.10008.1.2.2", lambda v: v.astype(">u2").tobytes()),
    "deflated": ("1.2.840.10008.1.2.1.99", np.ndarray.tobytes),
    "RLE": ("1.2.840.10008.1.2.5", lambda v: b""),  # pydicom's own encoder
    "JPEG 8": ("1.2.840.10008.1.2.4.50", lambda v: imagecodecs.jpeg8_encode((v >> 4).astype(np.uint8), level=90)),
    "JPEG 12": ("1.2.840.10008.1.2.4.51", lambda v: imagecodecs.jpeg8_encode(v, level=90, bitspersample=12)),
    "JPEG lossless": ("1.2.840.10008.1.2.4.70", lambda v: imagecodecs.ljpeg_encode(v, bitspersample=12)),
    "JPEG-LS": ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode),
    "JPEG-LS near": ("1.2.840.10008.1.2.4.81", lambda v: imagecodecs.jpegls_encode(v, level=2)),
    "JPEG 2000": (
        "1.2.840.10008.1.2.4.90",
        lambda v: imagecodecs.jpeg2k_encode(v, level=0, codecformat="j2k"),
    ),
    "HTJ2K": ("1.2.840.10008.1.2.4.201", lambda v: imagecodecs.htj2k_encode(v, reversible=True)),
}
ASKED_BARE, ASKED_WORKERS, ASKED_PEERS = 0.85, 1.8, 2.0
Read = Callable[[Path], object]


def write_dicom(path: Path, values: np.ndarray, name: str) -> None:
    uid, encode = SYNTAXES[name]
    bits = 8 if name == "JPEG 8" else 12
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    syntax = dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(uid if name != "RLE" else SYNTAXES["explicit"][0])
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME1", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (8 if bits == 8 else 16), bits, bits - 1
    dataset.WindowCenter, dataset.WindowWidth = 1 << (bits - 1), 1 << bits
    if name == "RLE":
        dataset.PixelData = values.tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.compress(pydicom.uid.RLELossless)
        syntax = pydicom.uid.RLELossless
    else:
        stream = encode(values)
        dataset.PixelData = encapsulate([stream]) if syntax.is_compressed and name != "deflated" else stream
        dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
        dataset["PixelData"].is_undefined_length = syntax.is_compressed and name != "deflated"
    pydicom.dcmwrite(
        path,
        dataset,
        enforce_file_format=True,
        little_endian=syntax.is_little_endian,
        implicit_vr=syntax.is_implicit_VR,
    )


def made_files(folder: Path, n: int) -> dict[str, list[Path]]:
    """The same pictures in every kind of file."""
    rng = np.random.default_rng(0)
    files: dict[str, list[Path]] = {}
    for i in range(n):
        large, small = picture(2500, 2048, rng), picture(1024, 1024, rng)
        places = {name: folder / f"{name.replace(' ', '-')}-{i}.dcm" for name in SYNTAXES}
        places = {"PNG": folder / f"{i}.png", "JPEG": folder / f"{i}.jpg"} | places
        Image.fromarray((small * 255).astype(np.uint8)).save(places["PNG"])
        Image.fromarray((large * 255).astype(np.uint8)).save(places["JPEG"], quality=90)
        for name in SYNTAXES:
            write_dicom(places[name], (large * 4095).astype(np.uint16), name)
        for name, path in places.items():
            files.setdefault(name, []).append(path)
    return files


def bare(path: Path) -> Callable[[], object]:
    """The decoder alone, its stream already in memory."""
    if path.suffix != ".dcm":
        data = path.read_bytes()
        if path.suffix == ".png":
            return lambda: imagecodecs.png_decode(data)
        return lambda: np.asarray(Image.open(io.BytesIO(data)))
    dataset = pydicom.dcmread(path, force=True)
    syntax = codecs._syntax(dataset)
    if syntax in codecs._CODECS:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        decode = getattr(imagecodecs, codecs._CODECS[syntax])
        return lambda: decode(frame)
    if syntax == codecs._RLE:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        return lambda: imagecodecs.dicomrle_decode(frame, "<u2")
    if syntax.endswith(".99"):
        body = path.read_bytes()[144 + dataset.file_meta.FileMetaInformationGroupLength :]
        return lambda: imagecodecs.deflate_decode(body, raw=True, out=1 << 28)
    return lambda: np.frombuffer(dataset.PixelData, "u1").copy()


def usual(path: Path) -> Callable[[], object] | None:
    """The decoder that most use, alone, where the one that we use is another."""
    data = path.read_bytes()
    if path.suffix == ".png":
        return lambda: np.asarray(Image.open(io.BytesIO(data)))
    if path.suffix == ".dcm" and codecs._syntax(dataset := pydicom.dcmread(path, force=True)).endswith(".99"):
        body = data[144 + dataset.file_meta.FileMetaInformationGroupLength :]
        return lambda: zlib.decompress(body, -zlib.MAX_WBITS)
    return None


def peers(size: int) -> dict[str, Read]:
    """What others do with a path, as far as they are installed."""
    found: dict[str, Read] = {}
    if find_spec("monai"):
        from monai.data import PILReader, PydicomReader
        from monai.transforms import Compose, LoadImage, Resize

        def chain(reader: Any) -> Any:
            load = LoadImage(reader=reader, image_only=True, ensure_channel_first=True)
            return Compose([load, Resize((size, size), mode="area")])

        dicom, raster = chain(PydicomReader(force=True)), chain(PILReader(converter=lambda i: i.convert("L")))
        found["MONAI"] = lambda p: dicom(str(p)) if p.suffix == ".dcm" else raster(str(p))
    if find_spec("skimage"):
        from skimage.transform import resize

        def shrunk(path: Path) -> np.ndarray:
            if path.suffix == ".dcm":
                values = pydicom.dcmread(path, force=True).pixel_array
            else:
                with Image.open(path) as image:
                    values = np.asarray(image.convert("L"))
            return resize(values, (size, size), anti_aliasing=True, preserve_range=True)

        found["skimage"] = shrunk
    return found


def taking_turns(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median processor time of each side in seconds, the sides taking turns; NaN for one that cannot."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):  # the first warms up
        for name, work in sides.items():
            begin = time.process_time()
            try:
                work()
            except Exception as error:  # noqa: BLE001 - a peer without a decoder for it
                times[name].append(float("nan"))
                print(f"    {name} cannot: {' '.join(str(error).split())[:90]}") if len(times[name]) == 1 else None
                continue
            times[name].append(time.process_time() - begin)
    return {name: statistics.median(t[1:]) for name, t in times.items()}


def one_kind(name: str, paths: Sequence[Path], recipe: Recipe, rounds: int, others: dict[str, Read]) -> None:
    decoders = [bare(p) for p in paths]
    sides: dict[str, Callable[[], object]] = {
        "bare": lambda: [d() for d in decoders],
        "ours": lambda: [read_image(p, recipe) for p in paths],
    }
    if all(others_use := [usual(p) for p in paths]):
        sides["usual"] = lambda: [d() for d in others_use if d]
    sides |= {other: (lambda read=read: [read(p) for p in paths]) for other, read in others.items()}
    ms = {k: v / len(paths) * 1000 for k, v in taking_turns(sides, rounds).items()}
    ratio = ms["bare"] / ms["ours"]
    against = "".join(f"{ms[o]:9.1f} {ms[o] / ms['ours']:6.1f}x" for o in others)
    print(f"{name:16}{ms['bare']:9.1f}{ms['ours']:9.1f}{ratio:8.2f}{'' if ratio >= ASKED_BARE else '*':1}{against}")
    if "usual" in ms:
        print(f"{'  usual decoder':16}{ms['usual']:9.1f}{'':9}{ms['usual'] / ms['ours']:8.2f}")


def workers(paths: Sequence[Path], recipe: Recipe, n: int) -> float:
    """Images per second through `n` processes beside one, workers started beforehand; the better of two runs each."""
    took = {}
    for count in (1, n):
        seconds = []
        for _ in range(2):
            stream = made_in_order([paths], recipe, count)
            first, begin = len(next(stream)[0]), time.perf_counter()
            done = sum(len(records) for records, _ in stream)
            seconds.append((time.perf_counter() - begin) / done)
        took[count] = min(seconds)
        print(f"    {count} process{'es' if count > 1 else ''}: {1 / took[count]:.1f} images/s (after {first})")
    return took[1] / took[n]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    keep_freed_memory()  # as in a worker; every side profits
    recipe, others = Recipe(asked.size), peers(asked.size)
    print({k: v for k, v in runs.machine().items() if k != "system"})
    with tempfile.TemporaryDirectory() as name:
        if asked.folder:
            readable = [p for p in sorted(asked.folder.glob("*.dcm")) if not make([p], recipe)[0][0].fault]
            files = {p.stem[:15]: [p] for p in readable}
        else:
            files = made_files(Path(name), asked.files)
        heads = "".join(f"{o + ' ms':>9} {'ratio':>7}" for o in others)
        print(f"{'processor time':16}{'bare ms':>9}{'ours ms':>9}{'ratio':>8} {heads}")
        for kind, paths in files.items():
            one_kind(kind, paths, recipe, asked.rounds, others)
        print(f"(* below the {ASKED_BARE} that is asked; {ASKED_PEERS:g}x of the peers is asked)")
        print(f"{asked.workers} processes beside one ({ASKED_WORKERS}x is asked), JPEG lossless or all of the folder:")
        some = [p for ps in files.values() for p in ps] if asked.folder else files["JPEG lossless"]
        many = [some[i % len(some)] for i in range(320)]
        print(f"    {workers(many, recipe, asked.workers):.2f}x")


if __name__ == "__main__":
    main()
