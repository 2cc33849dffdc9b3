"""Files and numbers made to take all time or memory: each must be answered in a sentence, in bounded time and memory.

    python validation/bombs.py [--only WORD] [--seconds 60] [--megabytes 2048]

Each bomb is made in a folder of its own and given to the command that reads such files, in a process of its own. The
largest resident memory of any process of the command is sampled. Asked are: no hang (above the seconds), no traceback,
nothing above the megabytes, and exit code 2 with a sentence, or 0 where the file is listed and the rest is done.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import imagecodecs
import numpy as np
import polars as pl
import pydicom
from fuzz_dicom import nested, picture
from PIL import Image

PLAIN, DEFLATED, RLE, JPEG, J2K = (f"1.2.840.10008.1.2{end}" for end in (".1", ".1.99", ".5", ".4.50", ".4.90"))
UIDS = "2.25.329800735698586629295641978511506172918"
PRETENDED = (60_000, 60_000)


@dataclass(frozen=True)
class Bomb:
    """A way to make a file (or a number) and the command that is given it; X = the file, D = its folder."""

    name: str
    make: Callable[[Path], object]
    command: tuple[str, ...]


def good(folder: Path, n: int = 4) -> None:
    """A few readable radiographs and their tables beside the bomb, so that there is work that must go on."""
    rng = np.random.default_rng(0)
    for i in range(n):
        Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8)).save(folder / f"good{i}.png")
    names = [f"good{i}.png" for i in range(n)] + ["bomb.png"]
    pl.DataFrame(
        {"image_id": names, "patient_id": [f"p{i}" for i in range(n + 1)], "site": "north", "path": names, "sex": "F"}
    ).write_csv(folder / "images.csv")
    state = ["present", "absent"] * 2 + ["absent"]
    stated = pl.DataFrame({"case_id": names, "finding": "edema", "source": "made", "state": state})
    stated.write_csv(folder / "labels.csv")
    pl.DataFrame({"image_id": names, "finding": "edema", "model": "m", "score": 0.5}).write_csv(folder / "scores.csv")


COHORT = (
    "cohort",
    "--images",
    "D/images.csv",
    "--labels",
    "D/labels.csv",
    "--root",
    "D",
    "--max-unreadable",
    "0.5",
    "-o",
    "D/out",
)
TREE = ("cohort", "--reader", "dicom_folder", "--root", "D/tree", "--config", "D/tree.toml", "-o", "D/out")
TABLES = ("--images", "D/images.csv", "--predictions", "D/scores.csv", "-o", "D/out")
EVALUATE = ("evaluate", "--labels", "D/labels.csv", *TABLES)
CONFIG = (*EVALUATE, "--config", "X")
LABELS = ("evaluate", "--labels", "X", *TABLES)
CLEAN = ("deidentify", "D/tree", "-o", "D/out", "--key", "D/key", "--new-key")
PACS = ("cohort", "--reader", "dicomweb", "--root", "D/w", "--config", "X", "-o", "D/out")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, size: tuple[int, int] = (64, 64), colour: int = 0) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", size[1], size[0], 8, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


def zeros(size: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join([*(packer.compress(bytes(1 << 24)) for _ in range(size >> 24)), packer.flush()])


def pixels(rows: int = 64, columns: int = 64) -> bytes:
    return chunk(b"IDAT", zlib.compress((b"\0" + bytes(np.arange(columns, dtype=np.uint8))) * rows))


def scans(n: int) -> bytes:
    """A progressive JPEG of 1,600 x 1,600 pixels whose last scan stands there n times."""
    held = io.BytesIO()
    grey = np.add.outer(np.arange(1600), np.arange(1600)) // 13
    Image.fromarray(grey.astype(np.uint8)).save(held, "JPEG", progressive=True)
    data = held.getvalue()[:-2]
    last = data.rfind(b"\xff\xda")
    return data + data[last:] * n + b"\xff\xd9"


def dicom(syntax: str = PLAIN, **tags: object) -> pydicom.Dataset:
    dataset = pydicom.dcmread(io.BytesIO(picture(syntax, np.random.default_rng(3))))
    dataset.StudyInstanceUID, dataset.SOPInstanceUID = f"{UIDS}.1", f"{UIDS}.2"
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    return dataset


def saved(dataset: pydicom.Dataset) -> bytes:
    held = io.BytesIO()
    dataset.save_as(held)
    return held.getvalue()


def deflate_bomb() -> bytes:
    data = saved(dicom())
    end = 144 + int.from_bytes(data[140:144], "little")
    meta = data[:end].replace(b"UI\x14\x001.2.840.10008.1.2.1\x00", b"UI\x16\x001.2.840.10008.1.2.1.99")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return meta + b"".join([*(packer.compress(bytes(1 << 24)) for _ in range(256)), packer.flush()])


def with_header(extra: bytes) -> bytes:
    """A radiograph with these bytes between its meta information and its data set."""
    data = saved(dicom())
    end = 144 + int.from_bytes(data[140:144], "little")
    return data[:end] + extra + data[end:]


def rle_bomb() -> bytes:
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x00" * (40 << 20)
    dataset = dicom()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
    dataset.PixelData = pydicom.encaps.encapsulate([frame])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    return saved(dataset)


def stream_bomb() -> bytes:
    """A JPEG 2000 stream that claims 60,000 x 60,000 pixels in a file that states 96 x 80."""
    dataset = dicom(J2K)
    data = bytearray(dataset.PixelData)
    at = data.find(b"\xff\x51")
    data[at + 6 : at + 14] = struct.pack(">II", *PRETENDED)
    dataset.PixelData = bytes(data)
    return saved(dataset)


def jpeg_in_dicom() -> bytes:
    dataset = dicom(JPEG)
    dataset.Rows = dataset.Columns = 1600
    dataset.PixelData = pydicom.encaps.encapsulate([scans(2000)])
    dataset["PixelData"].is_undefined_length = True
    return saved(dataset)


def slow_j2k() -> bytes:
    """An honest JPEG 2000 picture of 100 million pixels of noise: it takes longer than a file may."""
    values = np.random.default_rng(0).integers(0, 4096, (9990, 9990)).astype(np.uint16)
    dataset = dicom(J2K)
    dataset.Rows, dataset.Columns = values.shape
    dataset.PixelData = pydicom.encaps.encapsulate([imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k")])
    dataset["PixelData"].is_undefined_length = True
    return saved(dataset)


def gz(path: Path, head: bytes, block: bytes, times: int) -> None:
    with gzip.open(path, "wb", 9) as file:
        file.write(head)
        for _ in range(times):
            file.write(block)


def parquet(rows: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        lazy = pl.LazyFrame({"x": [0]}).select(pl.repeat(0, 1000, dtype=pl.Int8).alias("finding"))
        lazy.collect().write_parquet(path)
        if rows > 1000:
            data = path.read_bytes().replace(_varint(2000), _varint(2 * rows))  # zigzag: twice the number
            length = int.from_bytes(path.read_bytes()[-8:-4], "little") + len(data) - path.stat().st_size
            path.write_bytes(data[:-8] + length.to_bytes(4, "little") + data[-4:])

    return make


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def repeated(path: Path) -> None:
    """A number once, and how often it is repeated."""
    lazy = pl.LazyFrame({"x": [0]}).select(pl.repeat(0, 300_000_000, dtype=pl.Int8).alias("finding"))
    lazy.sink_parquet(path)


def tree(path: Path, write: Callable[[Path], object]) -> None:
    """A tree of DICOM files with three good ones and what `write` puts into it."""
    root = path.parent / "tree"
    root.mkdir()
    (path.parent / "tree.toml").write_text(
        '[options]\nsite = "north"\n[cohort]\nmax_unreadable = 0.9\nbody_parts = []\nfractions = [1, 0, 0]\n'
        'duplicates = "together"\n'
    )
    for i in range(3):
        dataset = pydicom.dcmread(io.BytesIO(picture(PLAIN, np.random.default_rng(i))))
        dataset.PatientID = f"patient-{i}"
        dataset.StudyInstanceUID, dataset.SOPInstanceUID = f"{UIDS}.{i + 1}0", f"{UIDS}.{i + 1}1"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(root / f"{i}.dcm")
    write(root)


def strange(root: Path) -> None:
    os.mkfifo(root / "pipe.dcm")
    (root / "zero.dcm").symlink_to("/dev/zero")
    (root / "null").symlink_to("/dev/null")
    (root / "terminal").symlink_to("/dev/tty")
    held = socket.socket(socket.AF_UNIX)
    held.bind(os.path.relpath(root / "socket", Path.cwd()) if len(str(root)) > 90 else str(root / "socket"))
    held.close()
    (root / "loop").symlink_to(root)
    (root / "a").mkdir()
    (root / "a" / "up").symlink_to(root.parent)
    (root / "self").symlink_to(root / "self")
    (root / ("n" * 250)).touch()
    with (root / "sparse.dcm").open("wb") as file:
        file.truncate(1 << 40)


def unnamed(root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe name.dcm")).write_bytes(b"no dicom")


def many(root: Path) -> None:
    for folder in range(50):
        (root / f"{folder}").mkdir()
        for i in range(2000):
            (root / f"{folder}" / f"{i}").touch()


def put(make: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(make())


def in_tree(make: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: tree(path, lambda root: (root / "bomb.dcm").write_bytes(make()))


def wide_csv(n: int) -> bytes:
    return ("image_id," + ",".join(f"c{i}" for i in range(n)) + "\n").encode() + b"a" + b",1" * n


def config(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def bombs() -> list[Bomb]:
    """Every bomb of the page on limits, and some more."""
    item = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
    sequence = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff"
    images: dict[str, Callable[[], bytes]] = {
        "PNG of 60,000 x 60,000": lambda: png(chunk(b"IDAT", zeros(64 << 20)), size=PRETENDED),
        "PNG that inflates to 4 GB": lambda: png(chunk(b"IDAT", zeros(4 << 30))),
        "PNG with a text of 1 GB": lambda: png(chunk(b"zTXt", b"a\0\0" + zeros(1 << 30)), pixels()),
        "PNG with an iTXt of 1 GB": lambda: png(chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(1 << 30)), pixels(), colour=0),
        "PNG with a profile of 1 GB": lambda: png(chunk(b"iCCP", b"a\0\0" + zeros(1 << 30)), pixels()),
        "PNG of 3,000,000 chunks": lambda: png(pixels(), chunk(b"tEXt", b"a\0b") * 3_000_000),
        "PNG of 3,000,000 empty IDAT": lambda: png(chunk(b"IDAT", b"") * 3_000_000, pixels()),
        "PNG in colour, 99 million pixels": lambda: png(
            chunk(b"IDAT", zeros(9950 * (9950 * 4 + 1) & ~0xFFFFFF)), size=(9950, 9950), colour=6
        ),
        "JPEG of 2,000 scans": lambda: scans(2000),
        "JPEG of 65,500 x 65,500": lambda: scans(1).replace(b"\x06\x40\x06\x40", b"\xff\xdc\xff\xdc", 1),
        "TIFF called PNG": lambda: b"II*\0" + bytes(1000),
        "GIF called PNG": lambda: b"GIF89a\xff\xff\xff\xff" + bytes(1000),
        "WebP called PNG": lambda: b"RIFF\xff\xff\xff\x7fWEBPVP8 " + bytes(1000),
        "deflated DICOM of 4 GB": deflate_bomb,
        "RLE DICOM of 5 GB": rle_bomb,
        "JPEG 2000 that claims another size": stream_bomb,
        "JPEG of 2,000 scans in DICOM": jpeg_in_dicom,
        "JPEG 2000 of 100 million pixels": slow_j2k,
        "DICOM of 65,535 x 65,535": lambda: saved(dicom(Rows=65535, Columns=65535)),
        "DICOM of 1,000,000 frames": lambda: saved(dicom(NumberOfFrames=1_000_000)),
        "DICOM, sequences 10,000 deep": lambda: with_header(nested(10_000)),
        "DICOM, sequence of 1,000,000 items": lambda: with_header(
            sequence + item * 1_000_000 + b"\xfe\xff\xdd\xe0" + bytes(4)
        ),
        "DICOM, 10,000,000 elements": lambda: with_header(b"\x08\x00\x00\x10LO\x00\x00" * 10_000_000),
    }
    whole = [Bomb(name, put(make), COHORT) for name, make in images.items()]
    dicom_files = {name: make for name, make in images.items() if "DICOM" in name}
    whole += [Bomb(f"{name}, in a tree", in_tree(make), TREE) for name, make in dicom_files.items()]
    whole += [Bomb(f"{name}, de-identified", in_tree(make), CLEAN) for name, make in dicom_files.items()]
    whole += [
        Bomb("pipes, devices, sockets, loops in a tree", lambda p: tree(p, strange), TREE),
        Bomb("a name that is not UTF-8 in a tree", lambda p: tree(p, unnamed), TREE),
        Bomb("the same, de-identified", lambda p: tree(p, unnamed), CLEAN),
        Bomb("pipes, devices, sockets, loops, de-identified", lambda p: tree(p, strange), CLEAN),
        Bomb("100,000 empty files in a tree", lambda p: tree(p, many), TREE),
        Bomb("pipe as a picture", os.mkfifo, COHORT),
        Bomb("device as a picture", lambda p: p.symlink_to("/dev/zero"), COHORT),
        Bomb("picture of 1 TB (sparse)", lambda p: os.truncate(p, 1 << 40) if p.touch() is None else None, COHORT),
        Bomb("labels: pipe", os.mkfifo, LABELS),
        Bomb("labels: /dev/zero", lambda p: p.symlink_to("/dev/zero"), LABELS),
        Bomb("labels: 1,000,000 columns", put(lambda: wide_csv(1_000_000)), LABELS),
        Bomb("labels: 100,000 columns", put(lambda: wide_csv(100_000)), LABELS),
        Bomb("labels: 9,000 columns, 1,000,000 short lines", put(lambda: wide_csv(9000) + b"\na" * 1_000_000), LABELS),
        Bomb("labels: 2 GB in 2 MB of gzip", lambda p: gz(p, b"image_id,edema\n", b"0" * (1 << 20), 2048), LABELS),
        Bomb("labels: 2 GB of lines in gzip", lambda p: gz(p, b"image_id,edema\n", b"a,1\n" * 262_144, 2048),
             LABELS),
        Bomb("labels: gzip in gzip", put(lambda: gzip.compress(gzip.compress(bytes(1 << 28)))), LABELS),
        Bomb("labels: Zstandard", put(lambda: bytes(imagecodecs.zstd_encode(b"a,b\n" * (1 << 20)))), LABELS),
        Bomb("labels: one field of 900 MB", put(lambda: b"image_id,edema\na," + b"1" * (900 << 20)), LABELS),
        Bomb("labels: a quote open over 900 MB", put(lambda: b'image_id,edema\n"a,' + b"b,1\n" * (225 << 20)), LABELS),
        Bomb("labels: first line of 900 MB", put(lambda: b"image_id," + b"1" * (900 << 20)), LABELS),
        Bomb("labels: 100,000 findings in long form", put(
            lambda: b"case_id,finding,source,state\n" + b"".join(
                b"a,f%d,s,present\n" % i for i in range(100_000))), LABELS),
        Bomb("labels: Parquet that claims 10^12 rows", parquet(10**12), LABELS),
        Bomb("labels: Parquet of 300,000,000 rows", repeated, LABELS),
        Bomb("config: 100 MB of TOML", config("[evaluation]\n" + "#" * (100 << 20)), CONFIG),
        Bomb("config: 10^11 replicates", config("[evaluation]\nreplicates = 100000000000\n"), CONFIG),
        Bomb("config: 10^11 bins", config("[evaluation]\nece_bins = 100000000000\n"), CONFIG),
        Bomb("config: size 100,000", config("[cohort.recipe]\nsize = 100000\n"), (*COHORT, "--config", "X")),
        Bomb("config: pipe", os.mkfifo, CONFIG),
        Bomb("protocol: /dev/zero", lambda p: p.symlink_to("/dev/zero"), ("run", "X", "-o", "D/out")),
        Bomb("a million processes", lambda p: p.touch(), (*COHORT, "--workers", "1000000")),
        Bomb("plan: width 10^-300", lambda p: p.touch(), ("plan", "--auc-width", "1e-300")),
        Bomb("PACS that sends for ever", lambda p: served(p, endless), PACS),
        Bomb("PACS that redirects for ever", lambda p: served(p, redirecting), PACS),
        Bomb("PACS that finds for ever", lambda p: served(p, finding), PACS),
    ]  # fmt: skip
    return whole


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/dicom+json")
    handler.end_headers()
    while True:
        handler.wfile.write(b"[" * (1 << 20))


def redirecting(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path + "x")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def finding(handler: BaseHTTPRequestHandler) -> None:
    """Studies without end, none of which has a series."""
    number = time.monotonic_ns()
    rows = [f'{{"0020000D": {{"vr": "UI", "Value": ["1.{number}.{i}"]}}}}' for i in range(500)]
    body = f"[{','.join(rows)}]".encode() if "/series" not in handler.path else b"[]"
    handler.send_response(200)
    handler.send_header("Content-Type", "application/dicom+json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def served(path: Path, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):
                answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (path.parent / "w").mkdir()
    path.write_text(f'[options]\nsite = "north"\nurl = "http://127.0.0.1:{server.server_port}/dicom-web"\n')


@dataclass(frozen=True)
class Outcome:
    """What became of a command: how long it took, its largest process, its exit code, what it said at last."""

    seconds: float
    megabytes: int
    code: int | None
    said: str

    def failure(self, seconds: float, megabytes: int) -> str:
        if self.code is None:
            return "HANGS"
        if "Traceback" in self.said or self.code not in (0, 2):
            return f"FAILS ({self.code})"
        return f"{self.megabytes:,} MB" if self.megabytes > megabytes else ""


def outcome(bomb: Bomb, seconds: float) -> Outcome:
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        good(folder)
        file = folder / "bomb.png"
        bomb.make(file)
        named = {"X": str(file), "D": str(folder)}
        words = [named.get(w, w.replace("D/", f"{folder}/") if w.startswith("D/") else w) for w in bomb.command]
        begun, most = time.monotonic(), 0
        with (folder / "said").open("wb") as said:
            command = [sys.executable, "-c", "from overread.cli import main; main()", *words]
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
            while process.poll() is None and time.monotonic() < begun + seconds:
                most = max(most, _largest(process.pid))
                time.sleep(0.02)
            took, code = time.monotonic() - begun, process.poll()
            if code is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        listed = [folder / "out" / "unreadable.csv", folder / "out-quarantine.csv"]
        reasons = [pl.read_csv(p)["reason"].drop_nulls().to_list() for p in listed if p.is_file()]
        end = "".join(f" listed: {reason}" for part in reasons for reason in part)
        return Outcome(took, most, code, (folder / "said").read_text(errors="replace") + end)


def _largest(group: int) -> int:
    """The resident memory in MB of the largest process of a session."""
    most = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(place.name)) == group:
                most = max(most, int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20)
        except OSError:
            continue
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="bombs whose name holds this word")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--megabytes", type=int, default=2048)
    arguments = parser.parse_args()
    failed = 0
    print(f"{'bomb':48}{'s':>6}{'MB':>7}{'exit':>6}")
    for bomb in bombs():
        if arguments.only not in bomb.name:
            continue
        found = outcome(bomb, arguments.seconds)
        why = found.failure(arguments.seconds, arguments.megabytes)
        failed += bool(why)
        last = " ".join(found.said.split())[-110:] if not why else found.said[-1500:]
        code = "-" if found.code is None else found.code
        print(f"{bomb.name:48}{found.seconds:6.1f}{found.megabytes:7,}{code:>6} {why} {last}", flush=True)
    print(f"{failed} of them hang, fail or take too much")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
