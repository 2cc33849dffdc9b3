"""Files for `mutations.py` but for DICOM: small valid ones of every kind, and the harm that is done to them."""

from __future__ import annotations

import copy
import io
import json
import zlib
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

Rng = np.random.Generator
FINDINGS = ("edema", "pleural_effusion", "cardiomegaly")
NUMBERS = (
    "0",
    "-1",
    "9" * 25,
    "1e400",
    "-1e400",
    "NaN",
    "inf",
    "",
    "1,5",
    "0x1F",
    "1_000",
    "٣",
    "99999",
    "1e-320",
    "true",
)
TEXTS = (
    "",
    " ",
    "\t",
    "=1+1",
    "\x1b[2J",
    "\u202e",
    "\x00",
    "\ufeff",
    "a" * 5000,
    '"',
    "'",
    ",",
    ";",
    "\n",
    "../..",
    "nan",
    "None",
    "\ud800",
    "é",
    "<script>",
    "$a$b$",
    "[/red]",
    "{0}",
    "%s",
    "\u0430",
    "/dev/zero",
    "a" * 300,
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63) - 1,
    10**400,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    [None],
    {"": {}},
    [1, "a", None],
    *TEXTS,
)


def pick(rng: Rng, options: Any) -> Any:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def harmed_bytes(data: bytes, rng: Rng) -> tuple[str, bytes]:
    """The bytes with one kind of harm done to them."""
    kind = pick(rng, ("cut", "flip", "remove", "repeat", "zero", "insert", "splice", "extreme"))
    size = len(data)
    a, b = sorted(int(x) for x in rng.integers(0, max(size, 1), 2))
    body = bytearray(data)
    if kind == "cut":
        return kind, data[:b]
    if kind == "flip":
        for place in rng.integers(0, size, int(rng.integers(1, 30))):
            body[place] ^= 1 << int(rng.integers(8))
    elif kind == "remove":
        del body[a : a + int(rng.integers(1, 200))]
    elif kind == "repeat":
        return kind, data[:b] + data[a:b] * int(pick(rng, (1, 2, 30))) + data[b:]
    elif kind == "zero":
        body[a:b] = bytes([int(pick(rng, (0, 255)))]) * (b - a)
    elif kind == "insert":
        body[a:a] = pick(
            rng, (b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[2J", b"\xe2\x80\xae", b"\r", b"\xff" * 9, b'"')
        )
    elif kind == "splice":
        c = int(rng.integers(0, max(size, 1)))
        return kind, data[:a] + data[c : c + b - a] + data[b:]
    else:  # numbers of 2 and 4 bytes, as headers have them
        width = int(pick(rng, (1, 2, 4, 8)))
        body[a : a + width] = pick(rng, (b"\xff", b"\x00", b"\x7f", b"\x80")) * width
    return kind, bytes(body)


def harmed_text(data: bytes, rng: Rng) -> tuple[str, bytes]:
    """The text with a number replaced, in another encoding, with other line ends, or harmed as bytes are."""
    kind = pick(rng, ("number", "encoding", "lines", "bytes", "bytes", "character"))
    if kind == "bytes":
        return harmed_bytes(data, rng)
    text = data.decode("utf-8", "replace")
    if kind == "encoding":
        name = pick(rng, ("utf-16", "utf-32", "utf-16-le", "cp1252", "utf-8-sig", "utf-7", "shift_jis"))
        return kind, text.encode(name, "replace")
    if kind == "lines":
        return kind, text.replace("\n", pick(rng, ("\r", "\r\n", "\n\n", "\u2028", ""))).encode()
    if kind == "character":
        at = int(rng.integers(len(text) + 1))
        return kind, (text[:at] + pick(rng, TEXTS) + text[at:]).encode("utf-8", "surrogatepass")
    places = [i for i, c in enumerate(text) if c.isdigit()]
    at = pick(rng, places) if places else 0
    return kind, (text[:at] + pick(rng, NUMBERS) + text[at + 1 :]).encode()


def harmed_value(value: Any, rng: Rng) -> Any:
    """A copy of a value of JSON or TOML with one node replaced, removed, renamed, nested or repeated."""
    value = copy.deepcopy(value)
    nodes: list[tuple[Any, Any]] = []
    left = [value]
    while left:
        item = left.pop()
        keys = list(item) if isinstance(item, dict) else list(range(len(item))) if isinstance(item, list) else []
        nodes += [(item, key) for key in keys]
        left += [item[key] for key in keys]
    if not nodes:
        return pick(rng, VALUES)
    holder, key = pick(rng, nodes)
    what = pick(rng, ("replace", "replace", "replace", "remove", "rename", "nest", "wrap"))
    if what == "remove":
        del holder[key]
    elif what == "rename" and isinstance(holder, dict):
        holder[pick(rng, TEXTS) or "x"] = holder.pop(key)
    elif what == "nest":
        for _ in range(int(pick(rng, (10, 70, 300)))):
            holder[key] = pick(rng, ([holder[key]], {"a": holder[key]}))
    elif what == "wrap":
        holder[key] = pick(rng, ([holder[key]], {"a": holder[key]}, [holder[key]] * 3))
    else:
        holder[key] = copy.deepcopy(pick(rng, VALUES))
    return value


def json_bytes(value: Any, rng: Rng) -> tuple[str, bytes]:
    """A JSON value, harmed as a value or as a text."""
    if rng.random() < 0.6:
        return "value", json.dumps(harmed_value(value, rng)).encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        deep = int(pick(rng, (500, 5000, 200_000)))
        return "deep", pick(rng, (b"[" * deep, b'{"a":' * deep, b"[" * deep + b"]" * deep))
    return harmed_text(json.dumps(value, indent=1).encode(), rng)


def toml_text(value: Any) -> str:
    """A value in TOML, tables within lists inline."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml_text(v) for v in value) + "]"
    if isinstance(value, float):
        return str(value)
    return '""' if value is None else json.dumps(value)


def toml_bytes(value: dict[str, Any], rng: Rng) -> tuple[str, bytes]:
    """A TOML table, harmed as a value or as a text."""
    harmed, kind = (harmed_value(value, rng), "value") if rng.random() < 0.6 else (value, "")
    if not isinstance(harmed, dict):
        harmed = {"a": harmed}
    lines = [f"{json.dumps(k)} = {toml_text(v)}" for k, v in harmed.items() if not isinstance(v, dict)]
    for name, table in harmed.items():
        if isinstance(table, dict):
            lines += [f"[{json.dumps(name)}]", *(f"{json.dumps(k)} = {toml_text(v)}" for k, v in table.items())]
    data = "\n".join([*lines, ""]).encode("utf-8", "surrogatepass")
    if kind:
        return kind, data
    if rng.random() < 0.1:
        deep = int(pick(rng, (100, 1000, 50_000)))
        return "deep", data + b"x = " + pick(rng, (b"[" * deep, b"{a = " * deep, b"[" * deep + b"]" * deep))
    return harmed_text(data, rng)


def frames(rng: Rng) -> dict[str, pl.DataFrame]:
    """Small tables, long and wide, by the name of the table that each is."""
    n = 12
    keys = {"image_id": [f"i{i:02}" for i in range(n)], "patient_id": [f"p{i // 2}" for i in range(n)]}
    images = pl.DataFrame(
        {
            **keys,
            "site": ["north", "south"] * (n // 2),
            "view": ["PA", "AP"] * (n // 2),
            "sex": ["F", "M"] * (n // 2),
            "age_years": rng.integers(20, 90, n).astype(float),
            "acquired": [date(2020, 1, 1 + i) for i in range(n)],
            "rows": [1024] * n,
            "weight": [1.0] * n,
        }
    )
    ids = pl.DataFrame({"image_id": keys["image_id"]})
    states = ids.with_columns(pl.Series(f, rng.integers(0, 2, n)) for f in FINDINGS)
    scores = ids.with_columns(pl.Series(f, rng.random(n)) for f in FINDINGS)
    long = scores.unpivot(index="image_id", variable_name="finding", value_name="score")
    called = states.unpivot(index="image_id", variable_name="finding", value_name="n").rename({"image_id": "case_id"})
    labels = called.select(
        "case_id", "finding", source=pl.lit("panel"), state=pl.col("n").replace_strict({0: "absent", 1: "present"})
    )
    reads = labels.select("case_id", "finding", reader=pl.lit("r1"), arm=pl.lit("unaided"), call="state")
    boxes = ids.with_columns(
        finding=pl.lit("edema"), source=pl.lit("panel"), number=1, x=1.0, y=2.0, width=3.0, height=4.0
    )
    return {
        "images": images,
        "labels": labels,
        "predictions": long.with_columns(model=pl.lit("m")),
        "reads": reads,
        "wide labels": states,
        "wide predictions": scores,
        "regions": boxes,
    }


CASTS: tuple[Callable[[pl.Series], pl.Series], ...] = (
    lambda s: pl.Series(s.name, [[v] for v in s.to_list()]),
    lambda s: pl.Series(s.name, [{"a": str(v)} for v in s.to_list()]),
    lambda s: pl.Series(s.name, [str(v).encode() for v in s.to_list()]),
    lambda s: pl.Series(s.name, [date(2020, 1, 1)] * s.len()),
    lambda s: pl.Series(s.name, [datetime(2020, 1, 1, 3)] * s.len()),
    lambda s: pl.Series(s.name, [time(3)] * s.len()),
    lambda s: pl.Series(s.name, [timedelta(1)] * s.len()),
    lambda s: pl.Series(s.name, [i % 2 == 0 for i in range(s.len())]),
    lambda s: pl.Series(s.name, [None] * s.len()),
    lambda s: pl.Series(s.name, [float("nan")] * s.len()),
    lambda s: pl.Series(s.name, [float("inf")] * s.len()),
    lambda s: pl.Series(s.name, range(s.len()), dtype=pl.UInt64) + 2**63,
    lambda s: s.cast(pl.String).cast(pl.Categorical),
    lambda s: s.cast(pl.String),
    lambda s: pl.Series(s.name, range(s.len())).cast(pl.Decimal(20, 2)),
    lambda s: pl.Series(s.name, range(s.len())).cast(pl.Float32),
    lambda s: pl.Series(s.name, np.zeros((s.len(), 2))),
    lambda s: s.shuffle(1),
    lambda s: s.head(0).extend_constant(s[0], s.len()),
)


def harmed_frame(frame: pl.DataFrame, rng: Rng) -> tuple[str, pl.DataFrame]:
    """The table with a column of another type, name or content."""
    kind = pick(rng, ("type", "type", "rename", "drop", "null", "text", "repeat", "empty"))
    column = pick(rng, frame.columns)
    if kind == "type":
        return kind, frame.with_columns(pick(rng, CASTS)(frame[column]))
    if kind == "rename":
        name = pick(
            rng, [t for t in TEXTS if "\ud800" not in t] + list(FINDINGS) + ["finding", "score", "state", "site"]
        )
        return kind, frame if name in frame.columns else frame.rename({column: name})
    if kind == "drop":
        return kind, frame.drop(column)
    if kind == "null":
        return kind, frame.with_columns(pl.when(pl.int_range(pl.len()) != 3).then(column).alias(column))
    if kind == "text":
        text = frame[column].cast(pl.String).to_list()
        text[int(rng.integers(len(text)))] = pick(rng, [t for t in (*TEXTS, *NUMBERS) if "\ud800" not in t])
        return kind, frame.with_columns(pl.Series(column, text))
    if kind == "repeat":
        return kind, pl.concat([frame, frame.head(int(rng.integers(1, 5)))])
    return kind, frame.clear()


def parquet_bytes(frame: pl.DataFrame, rng: Rng) -> tuple[str, bytes]:
    """A Parquet file, harmed as a table or as bytes."""
    kind, made = harmed_frame(frame, rng) if rng.random() < 0.6 else ("", frame)
    held = io.BytesIO()
    made.write_parquet(held)
    return (kind, held.getvalue()) if kind else harmed_bytes(held.getvalue(), rng)


def csv_bytes(frame: pl.DataFrame, rng: Rng) -> tuple[str, bytes]:
    """A CSV file, harmed as a table, in its dialect, or as text."""
    kind, made = harmed_frame(frame, rng) if rng.random() < 0.4 else ("", frame)
    flat = made.with_columns(
        pl.Series(c, [str(v) for v in made[c].to_list()])
        for c, t in made.schema.items()
        if t.is_nested() or t in (pl.Binary, pl.Duration)
    )
    data = flat.write_csv(
        separator=pick(rng, (",", ",", ";", "\t", "|")), quote_style=pick(rng, ("necessary", "always"))
    )
    return (kind, data.encode()) if kind else harmed_text(data.encode(), rng)


def harmed_chunks(data: bytes, rng: Rng) -> tuple[str, bytes]:
    """A PNG with a chunk harmed, removed or repeated, the checksums right: the harm passes the first gate."""
    chunks, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    place = int(rng.integers(len(chunks)))
    name, body = chunks[place]
    what = pick(rng, ("body", "body", "body", "remove", "repeat", "name"))
    made = {
        "body": [(name, harmed_bytes(body, rng)[1] if body else b"x")],
        "remove": [],
        "repeat": [(name, body)] * 2,
        "name": [(pick(rng, (b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"acTL", b"iCCP", b"zTXt", b"eXIf", b"IEND")), body)],
    }[what]
    chunks[place : place + 1] = made
    parts = [len(b).to_bytes(4, "big") + n + b + zlib.crc32(n + b).to_bytes(4, "big") for n, b in chunks]
    return f"chunk {what}", data[:8] + b"".join(parts)


def picture_bytes(rng: Rng, kind: str) -> bytes:
    """A small radiograph-like picture as PNG (8 or 16 bits, with or without colour) or JPEG."""
    values = np.add.outer(np.arange(64), np.arange(48)) * 2 + rng.integers(0, 20, (64, 48))
    held = io.BytesIO()
    if kind == "JPEG":
        Image.fromarray(values.astype(np.uint8)).save(held, "JPEG", quality=90)
        return held.getvalue()
    image = pick(
        rng,
        (
            Image.fromarray(values.astype(np.uint8)),
            Image.fromarray((values * 200).astype(np.uint16)),
            Image.fromarray(np.stack([values.astype(np.uint8)] * 3, axis=-1)),
            Image.fromarray(values.astype(np.uint8)).convert("P"),
            Image.fromarray(values.astype(np.uint8)).convert("LA"),
        ),
    )
    image.save(held, "PNG")
    return held.getvalue()
