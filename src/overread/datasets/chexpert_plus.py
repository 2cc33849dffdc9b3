"""CheXpert Plus: 223,462 radiographs of 64,725 patients with reports and demographics.

The folder layout is that of the Stanford release. Reference: Chambon et al. 2024, doi:10.48550/arXiv.2405.19538. The
radiographs are those of CheXpert: if both sets are merged under different prefixes, patients can be in two splits.
Labels are CheXbert's, for each section of the report.
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
    root : Path
        Folder with df_chexpert_plus_240401.csv. Optional files: report_fixed.json, findings_fixed.json and
        impression_fixed.json, in chexbert_labels/ or beside the table.
    site : str
        Name of the institution, written to the column `site`.
    reports : bool
        Whether the report and its sections are added as columns; they are long.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images with the image_id, case_id and patient_id of `chexpert`, `official_split` (train, tune = valid) and
        demographics; labels of the sources "chexbert_impression", "chexbert_findings" and "chexbert_report", by the
        section of the report that was labelled.

    Raises
    ------
    InputError
        The folder is missing or holds another set, columns differ from the published table, a split is unknown, or a
        label is not 1, 0, -1 or null.

    References
    ----------
    Chambon et al. 2024, doi:10.48550/arXiv.2405.19538.
    """
    root = Path(root)
    needed = ("path_to_image", "split", *_NAMES, *chexpert.PLUS)
    file, rows = source_tables.table(root, ["df_chexpert_plus_*.csv"], needed, ABOUT)
    unknown_splits = rows.filter(~pl.col("split").is_in(list(_SPLITS)).fill_null(False))["split"].unique().sort()
    if len(unknown_splits):
        raise InputError(
            file, f"splits {', '.join(_SPLITS)}", "others", examples=[s or "(empty)" for s in unknown_splits]
        )
    places = [root, *sorted(p for pattern in ("PNG*", "PNG*/PNG*") for p in root.glob(pattern) if p.is_dir())]
    image_rows = rows.rename(_NAMES).with_columns(Path=pl.col("path_to_image").str.replace(r"\.jpg$", ".png"))
    image_rows = chexpert.with_case(image_rows, file)
    patient_folders = chexpert.folders_of(places)
    absent = places[-1] if len(places) > 1 else root / "PNG"
    parts = []
    for split, ours in _SPLITS.items():
        images_of_split = chexpert.images_of(
            image_rows.filter(pl.col("split") == split), file, patient_folders, root, absent / split
        )
        parts.append(images_of_split.with_columns(site=pl.lit(site), official_split=pl.lit(ours)))
    demographics = chexpert.told_by(rows, file, reports)
    images = pl.concat(parts).join(demographics, on="image_id", how="left", maintain_order="left")
    images = tables.check(images.with_columns(dataset=pl.lit("chexpert_plus")), "images", where=file)
    labels, notes = chexpert.further([root], images, vocabulary)
    label_table = (
        tables.check(pl.concat(labels), "labels", where=root, vocabulary=vocabulary)
        if labels
        else tables.empty("labels")
    )
    if not labels:
        notes = ("there is no file of labels beside the table of images",)
    return Source(images, label_table, notes=source_tables.counts_note(images, ABOUT) + notes)
