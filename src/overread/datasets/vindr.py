"""VinDr-CXR: 18,000 radiographs with boxes and findings by 17 radiologists.

The folder layout is that of PhysioNet or Kaggle. Reference: Nguyen et al. 2022, doi:10.1038/s41597-022-01498-w. Three
radiologists read each of 15,000 training images independently; five read each of 3,000 test images in consensus.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from overread import tables
from overread.datasets.fields import normalise, original_headers
from overread.datasets.fields.vindr_classes import CLASSES
from overread.datasets.source_files import source_tables
from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.images import file_tree
from overread.tables import Source

ABOUT = source_tables.About(
    title="VinDr-CXR",
    citation="Nguyen et al. 2022, VinDr-CXR",
    doi="10.1038/s41597-022-01498-w",
    url="https://physionet.org/content/vindr-cxr/",
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    terms="credentialed users who completed training; not to be passed on",
    marks=("annotations/annotations_train.csv*", "annotations/image_labels_train.csv*", "annotations_train.csv*"),
    images=18_000,
)
# The classes of Kaggle's form: what a radiologist had to box there. Other findings were "Other lesion" or nothing.
_KAGGLE = (
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Consolidation",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Nodule/Mass",
    "Other lesion",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
    "No finding",
)
_BOX = ("x_min", "y_min", "x_max", "y_max")
_SUFFIXES = (".dicom", ".dcm", ".png", ".jpg")


def read(root: Path, *, site: str = "vindr", vocabulary: Vocabulary | None = None) -> Source:
    """Read VinDr-CXR from the folder with annotations/ and train/, test/ (or Kaggle's train.csv).

    Parameters
    ----------
    root : Path
        Folder with the annotations and the images.
    site : str
        Name of the institution, written to the column `site`.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images; reads of the training images (reader = rad_id, arm "unaided"); labels of source "consensus" for the
        test images; boxes as regions, whose source is the radiologist or "consensus".

    Raises
    ------
    InputError
        The folder is missing or holds another set, columns or findings are unknown, or a box is invalid.

    Notes
    -----
    Answers on training images are reads and not labels: a majority label is a choice of reference standard and is made
    in the evaluation. Where two findings of the set map to one finding (rib and clavicle fracture), it is present if
    one of them is. Kaggle's version has boxes of fourteen findings and "No finding": a finding without box is absent
    for that radiologist. Findings without equivalent in the vocabulary are counted in a note. The set does not
    identify patients. Sex, age and view come from the DICOM headers; the set was published as posteroanterior, so that
    an image without view in its header is PA, with a note. Kaggle's published table has 15,000 images, each read by
    three of 17 radiologists, and 36,096 boxes.

    References
    ----------
    Nguyen et al. 2022, doi:10.1038/s41597-022-01498-w.
    """
    root = Path(root)
    folder = root / "annotations" if (root / "annotations").is_dir() else root
    boxes, answers, wordless = _tables(folder, root)
    ids = pl.concat([f.select("image_id", "official_split") for f in (*boxes, *answers)]).unique(maintain_order=True)
    file_by_name = {p.stem: p.relative_to(root).as_posix() for p in file_tree.files(root, suffixes=_SUFFIXES)}
    absent = pl.format("{}/{}.dicom", pl.col("official_split"), "image_id")
    images = ids.with_columns(
        patient_id="image_id",
        site=pl.lit(site),
        dataset=pl.lit("vindr"),
        path=pl.col("image_id").replace_strict(file_by_name, default=absent),
    )
    images = original_headers.stated(images, root)
    n_without_view = images.filter(pl.col("view") == "UNKNOWN").height
    images = tables.check(images.with_columns(pl.col("view").replace("UNKNOWN", "PA")), "images", where=root)
    all_answers = pl.concat(answers)
    reads = all_answers.filter(pl.col("rad_id") != "consensus").select(
        reader="rad_id", case_id="image_id", finding="finding", arm=pl.lit("unaided"), call="state"
    )
    labels = all_answers.filter(pl.col("rad_id") == "consensus").select(
        "finding", "state", case_id="image_id", source=pl.lit("consensus")
    )
    notes: tuple[str, ...] = ("the set does not identify patients: every image counts as one patient",)
    if n_without_view:
        notes += (f"{n_without_view:,} images have no view in their header: PA assumed, as published",)
    notes += _spare(wordless, "answers") + _spare(
        [b.filter(pl.col("finding") == "")["class_name"] for b in boxes], "boxes"
    )
    notes += source_tables.counts_note(images, ABOUT)
    return Source(
        images,
        tables.check(labels, "labels", where=folder, vocabulary=vocabulary),
        _regions(boxes, folder, vocabulary),
        tables.check(reads, "reads", where=folder, vocabulary=vocabulary),
        notes=notes,
    )


def _tables(folder: Path, root: Path) -> tuple[list[pl.DataFrame], list[pl.DataFrame], list[pl.Series]]:
    """Boxes and answers of every split in long form, and the answers whose finding the vocabulary lacks."""
    if (
        source_tables.found(folder, ["annotations_train.csv"]) is None
        and source_tables.found(root, ["train.csv"]) is not None
    ):
        path, rows = source_tables.table(root, ["train.csv"], ("image_id", "class_name", "rad_id", *_BOX), ABOUT)
        boxes = _named(rows.with_columns(official_split=pl.lit("train")), path)
        return [boxes], [_of_boxes(boxes, path)], []
    boxes_, answers, wordless = [], [], []
    for split in ("train", "test"):
        reader = ("rad_id",) if split == "train" else ()
        if source_tables.found(folder, [f"annotations_{split}.csv"]) is None and split == "test":
            continue
        path, rows = source_tables.table(
            folder, [f"annotations_{split}.csv"], ("image_id", "class_name", *_BOX, *reader), ABOUT
        )
        boxes_.append(_named(_who(rows, split), path))
        path, rows = source_tables.table(folder, [f"image_labels_{split}.csv"], ("image_id", *reader), ABOUT)
        answered = _of_columns(_who(rows, split), path)
        answers.append(_answers(answered))
        wordless.append(answered.filter(pl.col("yes"), pl.col("finding") == "")["word"])
    return boxes_, answers, wordless


def _who(rows: pl.DataFrame, split: str) -> pl.DataFrame:
    rows = rows.with_columns(official_split=pl.lit(split))
    return rows.with_columns(rad_id=pl.lit("consensus")) if split == "test" else rows


def _check_words(words: list[str], path: Path) -> None:
    if strange := [w for w in words if w not in CLASSES]:
        raise InputError(
            path, "findings of VinDr-CXR", "others", examples=strange, do=did_you_mean(strange[0], CLASSES)
        )


def _named(rows: pl.DataFrame, path: Path) -> pl.DataFrame:
    source_tables.check_filled(rows, path, ("image_id", "rad_id", "class_name"))
    _check_words(rows["class_name"].unique().sort().to_list(), path)
    rows = normalise.numbers(rows, _BOX, path)
    is_box = pl.all_horizontal(pl.col(c).is_not_null() for c in _BOX)
    is_box &= (pl.col("x_max") > pl.col("x_min")) & (pl.col("y_max") > pl.col("y_min"))
    is_no_finding = pl.all_horizontal(pl.col(c).is_null() for c in _BOX) & (pl.col("class_name") == "No finding")
    invalid_boxes = rows.filter(~(is_box | is_no_finding).fill_null(False))
    if invalid_boxes.height:
        expected = "a box (x_min < x_max, y_min < y_max) of every finding"
        raise InputError(
            path, expected, f"{invalid_boxes.height:,} rows without", examples=invalid_boxes["image_id"].head(5)
        )
    return rows.select(
        "image_id",
        "rad_id",
        "official_split",
        "class_name",
        *_BOX,
        finding=pl.col("class_name").replace_strict(CLASSES),
    )


def _of_columns(rows: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Cells of the 0/1 columns in long form: word, finding ("" = not in the vocabulary) and yes."""
    words = [c for c in rows.columns if c not in ("image_id", "rad_id", "official_split")]
    _check_words(words, path)
    source_tables.check_filled(rows, path, ("image_id", "rad_id"))
    long = rows.unpivot(words, index=["image_id", "rad_id", "official_split"], variable_name="word", value_name="said")
    cell = pl.col("said").str.strip_chars().str.replace(r"\.0+$", "")
    invalid_cells = long.filter(~cell.is_in(["0", "1"]).fill_null(True))
    if invalid_cells.height:
        raise InputError(path, "0 or 1", f"{invalid_cells.height:,} others", examples=invalid_cells["said"].head(5))
    long = long.filter(pl.col("said").is_not_null())
    return long.with_columns(finding=pl.col("word").replace_strict(CLASSES), yes=cell == "1")


def _of_boxes(boxes: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Answers from boxes alone: a reader states every class; a class without box is absent."""
    if strange := sorted(set(boxes["class_name"]) - set(_KAGGLE)):
        raise InputError(path, f"Kaggle's classes {', '.join(_KAGGLE)}", "others", examples=strange)
    local = sorted({CLASSES[w] for w in _KAGGLE if CLASSES[w]})
    image_readers = boxes.select("image_id", "rad_id", "official_split").unique()
    findings_with_box = boxes.select("image_id", "rad_id", "finding").filter(pl.col("finding") != "").unique()
    all_classes = image_readers.join(pl.DataFrame({"finding": local}), how="cross")
    class_states = all_classes.join(
        findings_with_box.with_columns(yes=True), on=["image_id", "rad_id", "finding"], how="left"
    )
    return _answers(class_states.with_columns(pl.col("yes").fill_null(False)))


def _answers(long: pl.DataFrame) -> pl.DataFrame:
    keys = ["image_id", "rad_id", "official_split", "finding"]
    state_by_finding = long.filter(pl.col("finding") != "").group_by(keys, maintain_order=True).agg(pl.col("yes").any())
    return state_by_finding.with_columns(state=pl.when("yes").then(pl.lit("present")).otherwise(pl.lit("absent"))).drop(
        "yes"
    )


def _regions(boxes: list[pl.DataFrame], where: Path, vocabulary: Vocabulary | None) -> pl.DataFrame:
    boxes_of_findings = pl.concat(boxes).filter(pl.col("finding") != "", pl.col("x_min").is_not_null())
    region_rows = boxes_of_findings.select(
        "image_id",
        "finding",
        source="rad_id",
        x="x_min",
        y="y_min",
        width=pl.col("x_max") - pl.col("x_min"),
        height=pl.col("y_max") - pl.col("y_min"),
        number=pl.int_range(1, pl.len() + 1).over("image_id", "finding", "rad_id").cast(pl.Int32),
    )
    return tables.check(region_rows, "regions", where=where, vocabulary=vocabulary)


def _spare(words: list[pl.Series], what: str) -> tuple[str, ...]:
    counts = pl.concat([w.rename("word") for w in words]).value_counts(sort=True) if words else pl.DataFrame()
    if not counts.height:
        return ()
    shown = ", ".join(
        f"{word} {n:,}" for word, n in counts.sort("count", "word", descending=[True, False]).head(5).rows()
    )
    return (f"{counts['count'].sum():,} {what} are of findings that are not in the vocabulary ({shown}): left out",)
