"""Names hidden in DICOM files: how many are found in what `overread deidentify` lets out.

    python validation/hidden_names.py [--files 600] [--workers 2]

Every file is a simulated radiograph that holds the name of a patient, written in one of six scripts, in one place: an
attribute, a sequence, a private element, bits that no pixel uses, a comment inside a compressed stream, bytes after the
picture, and more; in every transfer syntax that can be written here. The same number of files hide nothing and must
pass. The output is then searched without any code of overread: the bytes of every file, the text that pydicom decodes,
and the planes of bits of the picture, in all encodings of the name and its spellings. Printed: names found (0 is
asked), the share that was quarantined by place, and that of the files that hide nothing. Needs Tesseract.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import polars as pl
import pydicom
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID

from overread.images.deidentification import Key, deidentify

# Family name, given name; the character set that states the script.
SCRIPTS = {
    "Latin": ("Zumbächli", "Jörgøs", "ISO_IR 192"),
    "Chinese": ("欧阳", "伟强", "GB18030"),
    "Korean": ("남궁", "길동", "\\ISO 2022 IR 149"),
    "Japanese": ("山田", "太郎", "ISO_IR 192"),
    "Cyrillic": ("Жуковский", "Фёдор", "ISO_IR 144"),
    "Greek": ("Παπαδόπουλος", "Γιώργος", "ISO_IR 126"),
}
SYNTAXES = {
    "explicit": "1.2.840.10008.1.2.1",
    "implicit": "1.2.840.10008.1.2",
    "big endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG baseline": "1.2.840.10008.1.2.4.50",
    "JPEG extended": "1.2.840.10008.1.2.4.51",
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "HTJ2K": "1.2.840.10008.1.2.4.201",
}
COMPRESSED = ("RLE", "JPEG baseline", "JPEG extended", "JPEG lossless", "JPEG-LS", "JPEG 2000", "HTJ2K")
SIDE = 160
ENCODINGS = (
    "utf_8",
    "utf_16_le",
    "utf_16_be",
    "utf_32_le",
    "latin_1",
    "gb18030",
    "big5",
    "shift_jis",
    "euc_jp",
    "euc_kr",
    "iso8859_5",
    "koi8_r",
    "cp1251",
    "iso8859_7",
    "cp1253",
    "cp1250",
    "mac_roman",
)


def picture(number: int, bits: int, *, signed: bool = False) -> np.ndarray[Any, Any]:
    """A smooth picture with noise, without text."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.normal(0.5, 0.12, (5, 5)).astype(np.float32))
    smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    values = np.clip(smooth + rng.normal(0, 0.01, smooth.shape), 0.05, 0.95) * ((1 << bits) - 1)
    if signed:
        return (values - (1 << (bits - 1))).astype(np.int16)
    return values.astype(np.uint8 if bits == 8 else np.uint16)


def drawn(text: str) -> np.ndarray[Any, Any]:
    """Letters as a mask; of scripts without a font here their bytes, one bit a pixel."""
    mask = Image.new("1", (SIDE, SIDE))
    if text.isascii():
        ImageDraw.Draw(mask).text((4, 60), text, fill=1, font=ImageFont.load_default(size=14))
        return np.asarray(mask)
    bits = np.zeros(SIDE * SIDE, bool)
    data = np.unpackbits(np.frombuffer(text.encode(), np.uint8))
    bits[: data.size] = data
    return bits.reshape(SIDE, SIDE)


def encoded(values: np.ndarray[Any, Any], syntax: str) -> bytes | None:
    """One compressed frame; None where the syntax is not compressed."""
    if syntax == "RLE":
        from pydicom.pixels.encoders.base import EncodeRunner
        from pydicom.pixels.encoders.native import _encode_frame

        runner = EncodeRunner(UID(SYNTAXES["RLE"]))
        runner.set_options(
            rows=SIDE,
            columns=SIDE,
            samples_per_pixel=1,
            bits_allocated=8 * values.dtype.itemsize,
            bits_stored=8 * values.dtype.itemsize,
            pixel_representation=0,
            number_of_frames=1,
            photometric_interpretation="MONOCHROME2",
        )
        runner.set_source(np.ascontiguousarray(values).tobytes())
        return bytes(_encode_frame(runner.get_frame(None), runner))
    encoders: dict[str, Callable[[], bytes]] = {
        "JPEG baseline": lambda: imagecodecs.jpeg8_encode(values, level=95),
        "JPEG extended": lambda: imagecodecs.jpeg8_encode(values, level=95, bitspersample=12),
        "JPEG lossless": lambda: imagecodecs.ljpeg_encode(values, bitspersample=16),
        "JPEG-LS": lambda: imagecodecs.jpegls_encode(values),
        "JPEG 2000": lambda: imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k", reversible=True),
        "HTJ2K": lambda: imagecodecs.htj2k_encode(values),
    }
    return bytes(encoders[syntax]()) if syntax in encoders else None


def header(number: int, script: str, syntax: str, values: np.ndarray[Any, Any], bits: int) -> Dataset:
    family, given, character_set = SCRIPTS[script]
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(SYNTAXES[syntax])
    made.SpecificCharacterSet = character_set.split("\\") if "\\" in character_set else character_set
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = f"1.2.9.1.{number}"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"1.2.9.2.{number}", f"1.2.9.3.{number}"
    latin = script == "Latin"
    made.PatientName = f"{family}^{given}" if latin else f"Qvarz^Ixq={family}^{given}"
    made.PatientID, made.Modality, made.StudyDate = f"KZ{70000 + number}", "CR", "20200131"
    made.Manufacturer, made.BodyPartExamined, made.ViewPosition = "SIEMENS", "CHEST", "PA"
    made.Rows = made.Columns = SIDE
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 8 * values.dtype.itemsize, bits, bits - 1
    made.PixelRepresentation = int(values.dtype.kind == "i")
    return made


# Places in the data set: each takes it and the name as text.
def _private(d: Dataset, name: str) -> None:
    d.private_block(0x0011, "MAKER", create=True).add_new(1, "UN", name.encode())


def _sequence(d: Dataset, name: str) -> None:
    inner, item = Dataset(), Dataset()
    inner.PatientComments, inner.TextValue = name, name
    item.ContentSequence = Sequence([inner])
    d.RequestAttributesSequence, d.ContentSequence = Sequence([item]), Sequence([inner])


def _code(d: Dataset, name: str) -> None:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "272479007", "SCT", name
    local = Dataset()
    local.CodeValue, local.CodingSchemeDesignator, local.CodeMeaning = "L1", "99LOCAL", name
    d.ViewCodeSequence, d.ProcedureCodeSequence = Sequence([item]), Sequence([local])


def _lut(d: Dataset, name: str) -> None:
    item = Dataset()
    data = name.encode("utf_16_le")
    item.add_new(0x00283002, "US", [len(data) // 2, 0, 16])
    item.LUTExplanation = name[:16]
    item.add_new(0x00283006, "OW", data)
    d.VOILUTSequence = Sequence([item])


def _numbers(d: Dataset, name: str) -> None:
    data = name.encode("utf_16_le")
    d.add_new(0x00189477, "US" if len(data) == 2 else "OB", data)
    d.add_new(0x00182006, "DS", [str(ord(c)) for c in name][:8]) if len(name) else None
    d.add_new(0x00281201, "OW", data)


def _stray(d: Dataset, name: str) -> None:
    d.add_new(0xFFFCFFFC, "OB", (name.encode() + b"  ")[: 2 * ((len(name.encode()) + 1) // 2)])
    d.add_new(0x60000022, "LO", name)
    d.add_new(0x60001500, "LO", name)
    d.add_new(0x50000022, "LO", name)


TAGS: dict[str, Callable[[Dataset, str], None]] = {
    "comments": lambda d, n: setattr(d, "ImageComments", n),
    "joined": lambda d, n: setattr(d, "StationName", n.replace("^", "").replace(" ", "")[:16]),
    "model": lambda d, n: setattr(d, "ManufacturerModelName", f"X {n.replace('^', ' ')}"),
    "explanation": lambda d, n: setattr(d, "WindowCenterWidthExplanation", n.replace("^", " ")),
    "filter": lambda d, n: setattr(d, "FilterType", n[:16]),
    "text unlisted": lambda d, n: setattr(d, "DetectorDescription", n),
    "private": _private,
    "sequence": _sequence,
    "code": _code,
    "LUT": _lut,
    "numbers": _numbers,
    "stray": _stray,
    "ICC profile": lambda d, n: d.add_new(0x00282000, "OB", n.encode("utf_16_be") * 2),
    "icon": lambda d, n: setattr(d, "IconImageSequence", Sequence([_icon(n)])),
}


def _icon(name: str) -> Dataset:
    item = Dataset()
    item.add_new(0x7FE00010, "OB", name.encode() + b" " * (len(name.encode()) % 2))
    return item


STREAMS = ("comment", "after", "fragment", "frame", "overlay bits", "signed overlay bits", "preamble", "meta")


def places() -> Iterator[tuple[str, str, str]]:
    """Every script, syntax and place that exist together."""
    for script, syntax in itertools.product(SCRIPTS, SYNTAXES):
        for place in TAGS:
            yield script, syntax, place
        for place in STREAMS:
            if place in ("comment", "fragment") and syntax not in COMPRESSED:
                continue
            if "overlay" in place and syntax in ("JPEG baseline", "JPEG extended"):
                continue  # 8 or 12 bits in all: no room
            yield script, syntax, place


def with_comment(frame: bytes, syntax: str, text: bytes) -> bytes:
    if syntax == "RLE":
        return frame + text + b"\0" * ((len(frame) + len(text)) % 2)
    size = len(text) + 2
    if syntax in ("JPEG 2000", "HTJ2K"):
        at = frame.index(b"\xff\x52")  # before COD
        return frame[:at] + b"\xff\x64" + (size + 2).to_bytes(2, "big") + b"\0\1" + text + frame[at:]
    return frame[:2] + b"\xff\xfe" + size.to_bytes(2, "big") + text + frame[2:]


def write(folder: Path, number: int, script: str, syntax: str, place: str) -> None:
    """One file; `place` "" hides nothing."""
    family, given, _ = SCRIPTS[script]
    name = f"{family}^{given}"
    bits = 8 if syntax == "JPEG baseline" else 12
    values = picture(number, bits, signed=place.startswith("signed"))
    made = header(number, script, syntax, values, bits)
    if place in TAGS:
        TAGS[place](made, name)
    if "overlay" in place:
        shown = plain(family).upper() if script == "Latin" else name
        values = (values.view(np.uint16) & 0x0FFF) | (drawn(shown).astype(np.uint16) << 13)
        values = values.view(np.int16) if place.startswith("signed") else values
    frame = encoded(values.view(np.uint16) if values.dtype.kind == "i" else values, syntax)
    text = name.encode() + b" " * (len(name.encode()) % 2)
    if frame is not None:
        if place == "comment":
            frame = with_comment(frame, syntax, text)
        elif place == "after":
            frame = frame + b"\0" * (len(frame) % 2) + text[:12] if syntax != "RLE" else frame + text
        frames = [frame, text] if place in ("fragment", "frame") else [frame]
        made.PixelData = encapsulate(frames, has_bot=place != "fragment")
        made["PixelData"].VR, made["PixelData"].is_undefined_length = "OB", True
    else:
        order = ">" if syntax == "big endian" else "<"
        data = values.astype(values.dtype.newbyteorder(order)).tobytes()
        made.PixelData = data + (
            text if place == "after" else data[: len(data) - len(text)] + text if place == "frame" else b""
        )
        made["PixelData"].VR = "OW"
    if place == "preamble":
        made.preamble = text.ljust(128, b"\0")[:128]
    if place == "meta":
        made.file_meta.SourceApplicationEntityTitle = plain(family)[:16] if script == "Latin" else "Qvarz"
        made.file_meta.PrivateInformationCreatorUID, made.file_meta.PrivateInformation = UID("1.2.3"), text
    made.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)


# The search: nothing of overread is used below.
def plain(text: str) -> str:
    swapped = text.replace("ø", "o").replace("Ø", "O").replace("ß", "ss")
    return "".join(c for c in unicodedata.normalize("NFD", swapped) if unicodedata.category(c) != "Mn")


def spellings(script: str) -> set[str]:
    family, given, _ = SCRIPTS[script]
    found = {family, given}
    if script == "Latin":
        for word in (family, given):
            found |= {plain(word), word.replace("ä", "ae").replace("ö", "oe").replace("ø", "oe")}
    else:
        found |= {"Qvarz"}
    return {f for w in found for f in (w, w.upper(), w.lower(), unicodedata.normalize("NFD", w))}


def needles(script: str) -> set[bytes]:
    found = set()
    for word in spellings(script):
        for encoding in ENCODINGS:
            try:
                found.add(word.encode(encoding))
            except UnicodeEncodeError:
                continue
    return {n for n in found if len(n) >= 4}


def leaks(path: Path, script: str) -> list[str]:
    """Where the name is found in a file that was let out."""
    data, wanted, found = path.read_bytes(), needles(script), []
    if any(n in data for n in wanted) or any(n in data.lower() for n in wanted):
        found.append("bytes")
    dataset = pydicom.dcmread(path)
    texts = unicodedata.normalize("NFC", str(dataset)).lower()
    if any(w.lower() in texts for w in spellings(script)):
        found.append("text")
    for element in dataset.iterall():
        value = element.value
        if isinstance(value, list | pydicom.multival.MultiValue) and element.VR in ("US", "SS", "DS", "IS", "UL", "FD"):
            letters = "".join(chr(int(v)) for v in value if 0 < float(v) < 0x110000)
            if any(w in letters for w in spellings(script)):
                found.append("numbers")
    values = dataset.pixel_array
    whole = values.view(f"u{values.dtype.itemsize}")
    if values.dtype.kind == "u" and int(whole.max()) >> dataset.BitsStored:
        found.append("bits above those stored")
    if len(dataset.PixelData) != values.nbytes + values.nbytes % 2:
        found.append("bytes after the picture")
    for bit in range(8 * values.dtype.itemsize):
        packed = np.packbits(((whole >> bit) & 1).ravel()).tobytes()
        if any(n in packed for n in wanted if len(n) >= 6):
            found.append(f"bit {bit}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=600, help="files that hide a name; as many again hide nothing")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    every = list(places())
    chosen = [every[k * len(every) // given.files] for k in range(given.files)] if given.files < len(every) else every
    with tempfile.TemporaryDirectory() as held:
        print(*report(Path(held), chosen, workers=given.workers), sep="\n")


def report(folder: Path, chosen: list[tuple[str, str, str]], *, workers: int = 1) -> list[str]:
    """Write the files, clean them, search what came out: lines to print, "0 names found" among them."""
    (folder / "in").mkdir()
    rows = chosen + [(s, y, "") for s, y, _ in chosen[:: max(1, len(chosen) // 66)]]
    for number, row in enumerate(rows):
        write(folder / "in", number, *row)
    key = Key(bytes(range(32)))
    made = deidentify(folder / "in", folder / "out", key, workers=workers)
    kept = pl.read_csv(made.quarantine)
    reasons = {int(Path(s).stem): r for s, r in kept.select("source", "reason").iter_rows()}
    found: Counter[str] = Counter()
    for number, (script, syntax, place) in enumerate(rows):
        if number in reasons:
            continue
        patient = key.patient(f"KZ{70000 + number}")
        for where in leaks(next((folder / "out" / "images" / patient).rglob("*.dcm")), script):
            found[f"{script}, {syntax}, {place or 'nothing hidden'}: {where}"] += 1
    hidden = [p for _, _, p in rows if p]
    back = Counter(rows[n][2] for n in reasons)
    why = Counter(f"{rows[n][2] or 'nothing hidden'}: {r}" for n, r in reasons.items())
    return [
        f"{len(hidden)} files with a hidden name, {len(rows) - len(hidden)} without",
        f"{sum(found.values())} names found",
        *(f"  {line}: {n}" for line, n in found.most_common()),
        f"quarantined: {sum(back.values()) - back['']} of {len(hidden)} with a name, "
        f"{back['']} of {len(rows) - len(hidden)} without",
        *(f"  {place or 'nothing hidden'}: {n} of {[p for _, _, p in rows].count(place)}" for place, n in back.items()),
        "reasons",
        *(f"  {n} x {reason}" for reason, n in why.most_common(25)),
    ]


if __name__ == "__main__":
    main()
