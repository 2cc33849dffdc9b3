"""CheXpert, the folder as Stanford ships it: 224,316 radiographs of 65,240 patients, 14 observations.

Irvin et al. 2019, doi:10.1609/aaai.v33i01.3301590. Labels of train were mined from reports and know "uncertain"; those
of valid and test are radiologists' consensus. CheXpert Plus (Chambon et al. 2024) adds who the patients are.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import polars as pl

from overread import tables
from overread.datasets import folding, shipped, stated
from overread.errors import InputError
from overread.tables import Source

ABOUT = shipped.About(
    title="CheXpert",
    citation="Irvin et al. 2019, CheXpert",
    doi="10.1609/aaai.v33i01.3301590",
    url="https://stanfordmlgroup.github.io/competitions/chexpert/",
    licence="Stanford University Dataset Research Use Agreement",
    terms="non-commercial research; no attempt to identify anyone; not to be passed on",
    marks=("CheXpert*", "df_chexpert_plus_*.csv*"),
    images=224_316,
    patients=65_240,
)
_PUBLISHED = {"train": (223_414, 64_540), "valid": (234, 200), "test": (668, 500)}
_TABLES = {"train": ("train.csv",), "valid": ("valid.csv",), "test": ("test_labels.csv", "groundtruth.csv", "test.csv")}
_OBSERVATIONS = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture",
    "Support Devices",
)  # fmt: skip
_WHO = ("Sex", "Age", "Frontal/Lateral", "AP/PA")
_PLUS = ("race", "ethnicity", "interpreter_needed", "insurance_type", "recent_bmi", "deceased",
         "patient_report_date_order", "path_to_dcm")  # fmt: skip


def read(root: Path, *, site: str = "stanford") -> Source:
    """Read CheXpert (full size, small, or in batches) from the folder in which it was unpacked, or the one above.

    Returns a Source. A study is a case: its images share its labels. `official_split` is train, tune (valid) or test.
    Labels of train are of source "report_text", those of valid and test of source "radiologists"; an empty cell is not
    stated, -1 is uncertain. An image whose AP/PA is neither is UNKNOWN and noted. Age 0, which stands for "not known"
    in this set of adults, becomes null and is noted; 90 is 90 or older. Where the table of CheXpert Plus lies beside,
    its race, ethnicity, insurance and the like are columns of the images.

    Raises InputError: no such folder, another set's, columns that changed, labels other than 1, 0, -1 or empty.
    """
    root = Path(root)
    places = _places(root)
    parts = [_part(place, split) for split in _TABLES for place in places]
    found = [p for p in parts if p is not None]
    if not found:
        shipped.table(root, ["train.csv"], (), ABOUT)  # says what stands there instead
    where = _patients(places)
    images, labels = [], []
    notes: list[str] = []
    for split, path, rows in {(s, p): (s, p, r) for s, p, r in found}.values():
        made = _images(rows, path, where, root, split).with_columns(
            site=pl.lit(site), official_split=pl.lit(split.replace("valid", "tune"))
        )
        source = "report_text" if split == "train" else "radiologists"
        spec = {"form": "wide", "columns": list(_stated(rows)), "vocabulary": "chexpert", "source": source}
        labels.append(stated.labels(rows, spec, root, path))
        images.append(made)
        n, patients = _PUBLISHED[split]
        notes += shipped.counts_note(made, replace(ABOUT, title=f"CheXpert, {split}", images=n, patients=patients))
    whole = _with_plus(tables.check(pl.concat(images, how="diagonal"), "images", where=root), places)
    return Source(whole, tables.check(pl.concat(labels), "labels", where=root), notes=tuple(notes))


def _places(root: Path) -> list[Path]:
    """The root and the folders in it in which parts of the set may lie."""
    root = shipped.tree.folder(root)
    return [root, *sorted(p for p in root.glob("CheXpert*") if p.is_dir())]


def _part(place: Path, split: str) -> tuple[str, Path, pl.DataFrame] | None:
    path = shipped.found(place, _TABLES[split])
    if path is None:
        return None
    rows = stated.as_text(tables.frame_of(path))
    if "Study" in rows.columns and "Path" not in rows.columns:  # the test's ground truth is by study
        rows = rows.rename({"Study": "Path"})
    wanted = ("Path", *_OBSERVATIONS[1:]) if split == "test" else ("Path", *_WHO, *_OBSERVATIONS)
    shipped.check_columns(rows, path, wanted, ABOUT)
    key = pl.col("Path").str.extract(r"(patient\d+/study\d+)")
    rows = rows.with_columns(case_id=key)
    odd = rows.filter(pl.col("case_id").is_null())["Path"]
    if len(odd):
        expected = "paths with patientN/studyN"
        raise InputError(path, expected, f"{len(odd):,} others", examples=[str(o) for o in odd.head(5)])
    return split, path, rows


def _stated(rows: pl.DataFrame) -> tuple[str, ...]:
    return tuple(c for c in _OBSERVATIONS if c in rows.columns)


def _patients(places: list[Path]) -> dict[str, Path]:
    """In which folder each patient's folder lies: train/, valid/, test/ or a batch's own."""
    found: dict[str, Path] = {}
    for place in places:
        for folder in (place / "test", place / "valid", place / "train", place):
            if folder.is_dir():
                found |= {e.name: folder for e in os.scandir(folder) if e.name.startswith("patient")}
    return found


def _images(rows: pl.DataFrame, path: Path, where: dict[str, Path], root: Path, split: str) -> pl.DataFrame:
    rows = _by_image(rows, where)
    patient = pl.col("case_id").str.extract(r"(patient\d+)")
    inner = pl.col("Path").str.extract(r"(patient\d+/.*)$")
    folders = {p: f.relative_to(root).as_posix() for p, f in where.items()}
    absent = (path.parent / split).relative_to(root).as_posix()
    frontal = pl.col("Frontal/Lateral").fill_null("").str.to_lowercase()
    side = pl.when(frontal == "lateral").then(pl.lit("LATERAL")).otherwise(pl.col("AP/PA"))
    frame = rows.select(
        inner.str.strip_suffix(".jpg").alias("image_id"), "case_id", patient.alias("patient_id"),
        dataset=pl.lit("chexpert"), sex="Sex", age_years="Age", view=side,
        path=pl.format("{}/{}", patient.replace_strict(folders, default=absent), inner).str.strip_prefix("./"),
    )  # fmt: skip
    frame = _views(frame)
    frame, strange = folding.sexes(frame, path)
    frame, unread = folding.ages(frame, path, known_errors=False)
    if strange or unread:
        raise InputError.all([*strange, *unread])
    none = pl.col("age_years") == 0
    frame = folding.noted(frame, pl.when(none).then(pl.lit("age 0 among adults: not stated")))
    return frame.with_columns(age_years=pl.when(~none).then("age_years"))


def _by_image(rows: pl.DataFrame, where: dict[str, Path]) -> pl.DataFrame:
    """A row per image also where the table is by study: the files of its folder say which images it has."""
    rows = rows.with_columns(pl.lit(None, pl.String).alias(c) for c in _WHO if c not in rows.columns)
    if rows["Path"].str.ends_with(".jpg").all():
        named = pl.when(pl.col("Path").str.contains("lateral")).then(pl.lit("Lateral")).otherwise(pl.lit("Frontal"))
        return rows.with_columns(pl.col("Frontal/Lateral").fill_null(named))
    made = []
    for row in rows.iter_rows(named=True):
        patient, study = row["case_id"].split("/")
        folder = where.get(patient, Path("/nonexistent")) / patient / study
        names = sorted(p.name for p in folder.glob("*.jpg")) if folder.is_dir() else ["view1_frontal.jpg"]
        side = {n: "Lateral" if "lateral" in n else "Frontal" for n in names}
        made += [row | {"Path": f"{row['case_id']}/{n}", "Frontal/Lateral": side[n]} for n in names]
    return pl.DataFrame(made, schema=rows.schema)


def _views(frame: pl.DataFrame) -> pl.DataFrame:
    word = pl.col("view").fill_null("")
    strange = ~word.is_in(["AP", "PA", "LATERAL", ""])
    note = pl.when(strange).then(pl.format("a frontal image whose AP/PA is '{}': UNKNOWN", word))
    known = pl.when(word.is_in(["AP", "PA", "LATERAL"])).then(word).otherwise(pl.lit("UNKNOWN"))
    return folding.noted(frame, note).with_columns(view=known)


def _with_plus(images: pl.DataFrame, places: list[Path]) -> pl.DataFrame:
    """Who the patients are, where the table of CheXpert Plus lies beside."""
    path = next((p for place in places if (p := shipped.found(place, ["df_chexpert_plus_*.csv"])) is not None), None)
    if path is None:
        return images
    rows = stated.as_text(tables.frame_of(path))
    shipped.check_columns(rows, path, ("path_to_image", *_PLUS), ABOUT)
    key = pl.col("path_to_image").str.extract(r"(patient\d+/.*)\.\w+$").alias("image_id")
    return images.join(rows.select(key, *_PLUS).unique("image_id"), on="image_id", how="left", maintain_order="left")
