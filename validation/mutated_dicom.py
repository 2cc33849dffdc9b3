"""DICOM files for `mutations.py`: small radiographs in ten transfer syntaxes, and the harm that is done to them."""

from __future__ import annotations

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

ENCODE = {
    "1.2.840.10008.1.2.4.50": lambda v: imagecodecs.jpeg8_encode((v >> 4).astype(np.uint8), level=90),
    "1.2.840.10008.1.2.4.51": lambda v: imagecodecs.jpeg8_encode(v, level=90, bitspersample=12),
    "1.2.840.10008.1.2.4.70": lambda v: imagecodecs.ljpeg_encode(v, bitspersample=12),
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_encode,
    "1.2.840.10008.1.2.4.90": lambda v: imagecodecs.jpeg2k_encode(v, level=0, codecformat="j2k"),
    "1.2.840.10008.1.2.4.201": lambda v: imagecodecs.htj2k_encode(v, reversible=True),
}
PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")


def picture(syntax: str, rng: np.random.Generator) -> bytes:
    """A small radiograph in this transfer syntax."""
    values = (np.add.outer(np.arange(96), np.arange(80)) * 20 + rng.integers(0, 30, (96, 80))).astype(np.uint16) % 4096
    bits = 8 if syntax.endswith(".4.50") else 12
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.PatientID, dataset.PatientName, dataset.Modality = "17", "Doe^Jane", "DX"
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME1"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (8 if bits == 8 else 16), bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = 2000, 3000
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTData = [4096, 0, 12], list(range(4096))
    lut.add_new("LUTDescriptor", "US", [4096, 0, 12])
    lut.add_new("LUTData", "US", list(range(4096)))
    if rng.random() < 0.3:
        dataset.VOILUTSequence = [lut]
    plain = syntax in PLAIN
    order = ">u2" if syntax == PLAIN[2] else "<u2"
    dataset.PixelData = values.astype(order).tobytes() if plain else encapsulate([ENCODE[syntax](values)])
    dataset["PixelData"].VR = "OW" if plain else "OB"
    dataset["PixelData"].is_undefined_length = not plain
    held = io.BytesIO()
    uid = dataset.file_meta.TransferSyntaxUID
    pydicom.dcmwrite(
        held, dataset, enforce_file_format=True, little_endian=uid.is_little_endian, implicit_vr=uid.is_implicit_VR
    )
    return held.getvalue()


def nested(depth: int) -> bytes:
    """A sequence in a sequence in a sequence …, explicit little endian, undefined lengths."""
    tag = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return tag * depth


def mutated(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """The file with one kind of harm done to it."""
    kind = str(rng.choice(["cut", "flip", "lengths", "sizes", "nest", "fragments", "bomb", "splice", "zero", "odd"]))
    body = bytearray(data)
    start = 132
    if kind == "cut":
        return kind, data[: int(rng.integers(1, len(data)))]
    if kind == "flip":
        for place in rng.integers(0, len(body), int(rng.integers(1, 40))):
            body[place] ^= int(rng.integers(1, 256))
    elif kind == "lengths":
        for place in rng.integers(start, min(len(body), 2000) - 4, int(rng.integers(1, 4))):
            body[place : place + 4] = rng.choice([b"\xff\xff\xff\xff", b"\xfe\xff\xff\xff", b"\x00\x00\x00\x80"])
    elif kind == "sizes":
        for tag in (
            b"\x28\x00\x10\x00",
            b"\x28\x00\x11\x00",
            b"\x28\x00\x08\x00",
            b"\x28\x00\x00\x01",
            b"\x28\x00\x01\x01",
            b"\x28\x00\x02\x00",
            b"\x28\x00\x02\x30",
        ):
            if (at := data.find(tag, start)) >= 0 and rng.random() < 0.5:
                body[at + 8 : at + 10] = struct.pack("<H", int(rng.choice([0, 1, 2, 7, 255, 32768, 65535])))
    elif kind == "odd":  # the text of window and age
        for tag in (b"\x28\x00\x50\x10DS", b"\x28\x00\x51\x10DS", b"\x08\x00\x60\x00CS", b"\x28\x00\x04\x00CS"):
            if (at := data.find(tag, start)) >= 0:
                length = int.from_bytes(data[at + 6 : at + 8], "little")
                if length < 64:
                    body[at + 8 : at + 8 + length] = bytes(rng.choice([*b"0123456789,.-e \\\0anif"], length).tolist())
    elif kind == "nest":
        at = int(rng.integers(start, min(len(data), 800)))
        return kind, data[:at] + nested(int(rng.choice([10, 300, 3000, 20_000]))) + data[at:]
    elif kind == "fragments":
        at = data.find(b"\xe0\x7f\x10\x00", start)
        return kind, data[: at + 12] + b"\xfe\xff\x00\xe0\x00\x00\x00\x00" * int(rng.choice([10, 100_000])) + data[
            at + 20 :
        ]
    elif kind == "bomb":
        end = start + 12 + int.from_bytes(data[140:144], "little") if data[128:132] == b"DICM" else 400
        meta = data[:end].replace(b"UI\x14\x001.2.840.10008.1.2.1\x00", b"UI\x16\x001.2.840.10008.1.2.1.99")
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return kind, meta + packer.compress(bytes(int(rng.choice([1 << 20, 400 << 20])))) + packer.flush()
    elif kind == "splice":
        a, b = sorted(int(x) for x in rng.integers(start, len(data), 2))
        return kind, data[:a] + data[b:]
    else:
        at = int(rng.integers(start, len(data)))
        body[at : at + int(rng.integers(1, 4000))] = bytes(10)
    return kind, bytes(body)
