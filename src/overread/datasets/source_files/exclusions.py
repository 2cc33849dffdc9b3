"""Selection of usable radiographs in a DICOM tree, with the reason for every other file.

An *excluded* file is of another kind (not DICOM, a CT, a report). An *unusable* file should be a radiograph but cannot
be used: it is damaged, has no patient ID or contradicts another file. Only unusable files count towards
`max_unreadable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from pydicom.uid import UID, UID_dictionary

from overread import regular, tables
from overread.datasets.fields import normalise
from overread.errors import InputError
from overread.integrity import file_hash

_STORAGE = "1.2.840.10008.5.1.4.1.1."
# CR image, DX image for presentation and for processing, secondary capture and its multi-frame kinds.
_RADIOGRAPHS = tuple(_STORAGE + end for end in ("1", "1.1", "1.1.1", "7", "7.1", "7.2", "7.3", "7.4"))
_CAPTURE = _STORAGE + "7"
_BLOCK = 1 << 20  # bytes that are compared at a time
_SUFFIXES = (".dcm", ".dicom")
_CASE = pl.when(pl.col("study").fill_null("") != "").then("study").otherwise("image")


def divided(
    found: pl.DataFrame, root: Path, patients: pl.Series, modalities: Sequence[str] = tables.RADIOGRAPHS
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Divide the files into usable radiographs and others, each with its reason.

    Parameters
    ----------
    found : DataFrame
        Headers, as returned by `images.dicom.scan`.
    root : Path
        Folder of the files.
    patients : Series
        Patient of each file; null or "" if unknown.
    modalities : sequence of str
        Modalities (0008,0060) to read.

    Returns
    -------
    usable : DataFrame
        Rows of the radiographs, one per SOP instance, with normalised `modality` and `patient`.
    excluded : DataFrame
        Path relative to the root, reason, detail and unreadable of every other file.

    Raises
    ------
    InputError
        No radiograph is left.
    """
    paths = pl.Series("path", [Path(p).relative_to(root).as_posix() for p in found["path"]], dtype=pl.String)
    files = found.with_columns(pl.Series("path", paths), patients.alias("patient"))
    files = normalise.modalities(files.with_columns(_file=found["path"]))
    reason = pl.coalesce(_not_readable(), _no_picture(modalities), _other_modality(modalities), _no_identifier())
    marked = _cut_copies(files)  # before classification: the header may be truncated too
    out = [marked.filter(pl.col("reason").is_not_null())]
    judged = marked.filter(pl.col("reason").is_null()).with_columns(reason.struct.unnest())
    out.append(judged.filter(pl.col("reason").is_not_null()))
    candidates = judged.filter(pl.col("reason").is_null())
    for marking in (_instances, _copies, _studies):
        marked = marking(candidates)
        out.append(marked.filter(pl.col("reason").is_not_null()))
        candidates = marked.filter(pl.col("reason").is_null())
    columns = ["path", "reason", "detail", "unreadable"]
    excluded = pl.concat([frame.select(columns) for frame in out]).sort("path")
    if not candidates.height:
        raise _nothing(root, excluded)
    return candidates.drop("reason", "detail", "unreadable"), excluded


def _because(condition: pl.Expr, reason: pl.Expr, *, unreadable: bool) -> pl.Expr:
    """The reason, and whether it makes the file unusable, where the condition holds; otherwise null."""
    return pl.when(condition).then(pl.struct(reason=reason, unreadable=pl.lit(unreadable)))


def _not_readable() -> pl.Expr:
    """Files that cannot be read or are not DICOM; an empty file or one named .dcm may be a radiograph and is
    unusable.
    """
    other = pl.col("kind") != "DICOM"
    named = pl.any_horizontal(pl.col("path").str.to_lowercase().str.ends_with(s) for s in _SUFFIXES)
    return pl.coalesce(
        _because(pl.col("fault") != "", pl.col("fault"), unreadable=True),
        _because(other & (pl.col("size") == 0), pl.lit("an empty file (0 bytes)"), unreadable=True),
        _because(other & named, pl.format("named as DICOM, but its content is {}", "kind"), unreadable=True),
        _because(other, pl.format("no DICOM file ({})", "kind"), unreadable=False),
    )


def _no_picture(modalities: Sequence[str]) -> pl.Expr:
    """Objects without Rows and Columns: a report or presentation state is excluded, a radiograph is unusable."""
    empty = (pl.col("rows").fill_null(0) <= 0) | (pl.col("columns").fill_null(0) <= 0)
    name = pl.col("sop_class").replace_strict(_names(), default=None, return_dtype=pl.String)
    index = pl.col("path").str.split("/").list.last().str.to_uppercase() == "DICOMDIR"
    private = (pl.col("sop_class").fill_null("") != "") & name.is_null() & pl.col("modality").is_null()
    cut = (pl.col("sop_class").fill_null("") == "") & pl.col("modality").is_null()
    return pl.coalesce(
        _because(empty & ~_of_radiograph() & name.is_not_null(), pl.format("no image ({})", name), unreadable=False),
        _because(empty & index, pl.lit("no image (DICOMDIR)"), unreadable=False),
        _because(empty & _is_other(modalities), _modality(), unreadable=False),
        _because(empty & private, pl.lit("no image (a private SOP class)"), unreadable=False),
        _because(empty & cut, pl.lit("no SOP class, Modality, Rows or Columns: it may be cut off"), unreadable=True),
        _because(empty, pl.lit("no pixels (no Rows or Columns)"), unreadable=True),
    )


def _other_modality(modalities: Sequence[str]) -> pl.Expr:
    """Images of other modalities, captures of them, and images whose SOP class is not that of a radiograph."""
    name = pl.col("sop_class").replace_strict(_names(), default=None, return_dtype=pl.String)
    radiograph = pl.col("modality").is_null() | pl.col("modality").is_in(list(tables.RADIOGRAPHS))
    other_class = radiograph & ~_of_radiograph() & name.is_not_null()
    return pl.coalesce(
        _because(_is_other(modalities), _modality(), unreadable=False),
        _because(other_class, pl.format("SOP class {}", name), unreadable=False),
    )


def _is_other(modalities: Sequence[str]) -> pl.Expr:
    return pl.col("modality").is_not_null() & ~pl.col("modality").is_in(list(modalities))


def _modality() -> pl.Expr:
    capture = pl.when(pl.col("sop_class").str.starts_with(_CAPTURE)).then(pl.lit(", secondary capture"))
    return pl.format("modality {}{}", "modality", capture.otherwise(pl.lit("")))


def _no_identifier() -> pl.Expr:
    nobody = pl.col("patient").fill_null("") == ""
    stated = pl.col("patient_id").fill_null("").str.strip_chars() != ""
    unclear = "a patient ID (0010,0020) of no certain patient: a word for missing, or an ambiguous issuer (0010,0021)"
    return pl.coalesce(
        _because(nobody & stated, pl.lit(unclear), unreadable=True),
        _because(nobody, pl.lit("no patient ID (0010,0020)"), unreadable=True),
        _because(pl.col("image").fill_null("") == "", pl.lit("no SOP instance UID (0008,0018)"), unreadable=True),
    )


def _of_radiograph() -> pl.Expr:
    return pl.col("sop_class").is_in(list(_RADIOGRAPHS)).fill_null(False)


def _names() -> Mapping[str, str]:
    """The names of the SOP classes that DICOM defines."""
    return {uid: UID(uid).name for uid in UID_dictionary if uid.startswith("1.2.840.10008.")}


def _cut_copies(kept: pl.DataFrame) -> pl.DataFrame:
    """Mark every file that is the beginning of another file of its SOP instance: a copy that was cut short."""
    order = kept.select("image", "path", "_file", "size").filter(pl.col("image").fill_null("") != "")
    order = order.filter(pl.col("image").is_duplicated())
    whole: dict[str, str] = {}
    for (_,), group in order.sort("size", "path", descending=[True, False]).group_by("image", maintain_order=True):
        longest, *others = group.rows(named=True)
        shorter = [
            r for r in others if r["size"] < longest["size"] and _begins(longest["_file"], r["_file"], r["size"])
        ]
        whole |= {r["path"]: longest["path"] for r in shorter}
    other = pl.col("path").replace_strict(whole, default=None, return_dtype=pl.String)
    return kept.with_columns(
        reason=pl.when(other.is_not_null()).then(pl.lit("a copy of another file that was cut short")),
        unreadable=pl.lit(False),
        detail=pl.lit("the file that is kept: ") + other,
    )


def _begins(longer: str, shorter: str, size: int) -> bool:
    """Whether one file equals the first `size` bytes of the other."""
    with regular.opened(longer) as first, regular.opened(shorter) as second:
        for place in range(0, size, _BLOCK):
            length = min(_BLOCK, size - place)
            if first.read(length) != second.read(length):
                return False
    return True


def _instances(kept: pl.DataFrame) -> pl.DataFrame:
    """Mark every file of a SOP instance whose files have two patients or different content."""
    kept = kept.with_columns(_digest=_digests(kept))
    mixed = pl.col("patient").n_unique().over("image") > 1
    differ = pl.col("_digest").n_unique().over("image") > 1
    marked = kept.with_columns(
        reason=pl.when(mixed)
        .then(pl.lit("its SOP instance UID is in files of two patients"))
        .when(differ)
        .then(pl.lit("its SOP instance UID is in files of different content")),
        unreadable=pl.lit(True),
        detail=pl.lit("the other file: ") + _partner("image"),
    )
    return marked.drop("_digest")


def _digests(kept: pl.DataFrame) -> pl.Series:
    """The hash of every file whose SOP instance UID another file has too, else ""."""
    twice = kept["image"].is_duplicated()
    hashes = [file_hash(file) if again else "" for file, again in zip(kept["_file"], twice, strict=True)]
    return pl.Series(hashes, dtype=pl.String)


def _copies(kept: pl.DataFrame) -> pl.DataFrame:
    """Mark all files of one content except the first by path."""
    later = pl.col("path") != pl.col("path").min().over("image")
    return kept.with_columns(
        reason=pl.when(later).then(pl.lit("a copy of another file")),
        unreadable=pl.lit(False),
        detail=pl.lit("the file that is kept: ") + pl.col("path").min().over("image"),
    )


def _studies(kept: pl.DataFrame) -> pl.DataFrame:
    """Mark every file of a study that has images of two patients."""
    mixed = pl.col("patient").n_unique().over(_CASE) > 1
    return kept.with_columns(
        reason=pl.when(mixed).then(pl.lit("its study has images of two patients")),
        unreadable=pl.lit(True),
        detail=pl.format("study {}", _CASE),
    )


def _partner(key: str) -> pl.Expr:
    """The first other file that has the same value of `key`."""
    first, last = pl.col("path").min().over(key), pl.col("path").max().over(key)
    return pl.when(pl.col("path") == first).then(last).otherwise(first)


def _nothing(root: Path, excluded: pl.DataFrame) -> InputError:
    counts = excluded.group_by("reason").agg(pl.len(), pl.col("path").first()).sort("len", "reason", descending=True)
    examples = [f"{n:,}: {reason}, such as {path}" for reason, n, path in counts.head(5).rows()]
    found = f"none in {excluded.height:,} files" if excluded.height else "an empty folder"
    expected = f"DICOM radiographs (modality {', '.join(tables.RADIOGRAPHS)}) with a patient ID"
    return InputError(root, expected, found, examples=examples, do="Give the folder that holds them.")
