"""CheXpert Plus, the folder as Stanford ships it: 223,462 radiographs of 64,725 patients with reports and demographics.

Chambon et al. 2024, doi:10.48550/arXiv.2405.19538. The radiographs are CheXpert's: pooled with it under another prefix,
patients would be in two splits. Labels are CheXbert's, of each part of the report.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from overread import tables
from overread.datasets import chexpert
from overread.datasets.source_files import source_tables
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.tables import Source

ABOUT = source_tables.About(
    title="CheXpert Plus",
    citation="Chambon et al. 2024, CheXpert Plus",
    doi="10.48550/arXiv.2405.19538",
    url="https://aimi.stanford.edu/datasets/chexpert-plus",
    licence="Stanford University Dataset Research Use Agreement",
    terms="non-commercial research; not to be passed on; the images are CheXpert's: pooled with it they would leak",
    marks=("df_chexpert_plus_*.csv*",),
    images=223_462,  # 223,228 of train and the 234 of valid
    patients=64_725,
)
_NAMES = {"frontal_lateral": "Frontal/Lateral", "ap_pa": "AP/PA", "sex": "Sex", "age": "Age"}
_SPLITS = {"train": "train", "valid": "tune"}


def read(root: Path, *, site: str = "stanford", reports: bool = False, vocabulary: Vocabulary | None = None) -> Source:
    """Read CheXpert Plus from the folder with its table, chexbert_labels/ and PNG/ (train/, valid/).

    Parameters
    ----------
    root: folder with df_chexpert_plus_240401.csv, and where they are there report_fixed.json, findings_fixed.json and
        impression_fixed.json (in chexbert_labels/ or beside the table).
    site: what the tables call the institution.
    reports: take the report and its sections as columns too: they are long.

    Returns a Source as `chexpert` reads it, with the same image_id, case_id and patient_id: labels of the sources
    "chexbert_impression", "chexbert_findings" and "chexbert_report" by the part of the report that was read;
    `official_split` train or tune (valid); race, ethnicity, insurance and the like are columns of the images.

    Raises InputError: no such folder, another set's, columns that changed, splits with other words, labels other than
    1, 0, -1 or null.
    """
    root = Path(root)
    needed = ("path_to_image", "split", *_NAMES, *chexpert.PLUS)
    file, rows = source_tables.table(root, ["df_chexpert_plus_*.csv"], needed, ABOUT)
    strange = rows.filter(~pl.col("split").is_in(list(_SPLITS)).fill_null(False))["split"].unique().sort()
    if len(strange):
        raise InputError(file, f"splits {', '.join(_SPLITS)}", "others", examples=[s or "(empty)" for s in strange])
    places = [root, *sorted(p for pattern in ("PNG*", "PNG*/PNG*") for p in root.glob(pattern) if p.is_dir())]
    shown = rows.rename(_NAMES).with_columns(Path=pl.col("path_to_image").str.replace(r"\.jpg$", ".png"))
    shown = chexpert.with_case(shown, file)
    where = chexpert.folders_of(places)
    absent = places[-1] if len(places) > 1 else root / "PNG"
    parts = []
    for split, ours in _SPLITS.items():
        made = chexpert.images_of(shown.filter(pl.col("split") == split), file, where, root, absent / split)
        parts.append(made.with_columns(site=pl.lit(site), official_split=pl.lit(ours)))
    told = chexpert.told_by(rows, file, reports)
    images = pl.concat(parts).join(told, on="image_id", how="left", maintain_order="left")
    images = tables.check(images.with_columns(dataset=pl.lit("chexpert_plus")), "images", where=file)
    labels, notes = chexpert.further([root], images, vocabulary)
    said = (
        tables.check(pl.concat(labels), "labels", where=root, vocabulary=vocabulary)
        if labels
        else tables.empty("labels")
    )
    if not labels:
        notes = ("no file of labels lies beside the table of images",)
    return Source(images, said, notes=source_tables.counts_note(images, ABOUT) + notes)
