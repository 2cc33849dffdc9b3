"""Open-i, Indiana University: 7,470 radiographs of 3,955 reports with findings coded in MeSH.

Reference: Demner-Fushman et al. 2016, doi:10.1093/jamia/ocv080.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

import polars as pl

from overread import limits, regular, tables
from overread.datasets.fields import original_headers
from overread.datasets.source_files import source_tables
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.findings import load as load_vocabulary
from overread.images import file_tree
from overread.tables import Source

ABOUT = source_tables.About(
    title="Open-i (Indiana University)",
    citation="Demner-Fushman et al. 2016",
    doi="10.1093/jamia/ocv080",
    url="https://openi.nlm.nih.gov/",
    licence="CC BY-NC-ND 4.0",
    terms="attribution; non-commercial; no derivatives to be shared",
    marks=("ecgen-radiology/*.xml", "NLMCXR_reports", "NLMCXR_png", "NLMCXR_dcm"),
    images=7_470,
)
# The head of a MeSH entry ("Cardiomegaly/mild") and the findings that it is.
_MESH = {
    "normal": ("no_finding",),
    "cardiomegaly": ("cardiomegaly",),
    "pulmonary atelectasis": ("atelectasis",),
    "pleural effusion": ("pleural_effusion",),
    "hemothorax": ("pleural_effusion",),
    "infiltrate": ("infiltration",),
    "hydropneumothorax": ("pleural_effusion", "pneumothorax"),
    "hemopneumothorax": ("pleural_effusion", "pneumothorax"),
    "pneumothorax": ("pneumothorax",),
    "consolidation": ("consolidation",),
    "pulmonary edema": ("edema",),
    "emphysema": ("emphysema",),
    "pulmonary emphysema": ("emphysema",),
    "bullous emphysema": ("emphysema",),
    "pulmonary fibrosis": ("fibrosis",),
    "nodule": ("nodule",),
    "mass": ("mass",),
    "pneumonia": ("pneumonia",),
    "hernia, hiatal": ("hernia",),
    "fractures, bone": ("fracture",),
    "opacity": ("lung_opacity",),
    "airspace disease": ("lung_opacity",),
    "thickening": ("pleural_thickening",),
    "tuberculosis": ("tuberculosis",),
    "catheters, indwelling": ("support_devices",),
    "implanted medical device": ("support_devices",),
    "tube, inserted": ("support_devices",),
}
# Heads that are that finding only at this place ("Mass/breast" is no mass of the lung). Elsewhere, or where no place is
# coded, the finding is not stated: neither present nor absent.
_PLACE = {"opacity": "lung", "nodule": "lung", "mass": "lung", "thickening": "pleura"}
# Headings that may be the finding: it is not stated. "Density/lung" may be an opacity.
_UNSAID = {"density": ("lung_opacity",), "medical device": ("support_devices",)}
_NONE = ("no indexing", "technical quality of image unsatisfactory")
_SECTIONS = ("INDICATION", "FINDINGS", "IMPRESSION")


def read(root: Path, *, site: str = "indiana", vocabulary: Vocabulary | None = None) -> Source:
    """Read Open-i from the folder with the reports (XML, in any folder) and the images (NLMCXR_png, NLMCXR_dcm).

    Parameters
    ----------
    root : Path
        Folder with reports and images.
    site : str
        Name of the institution, written to the column `site`.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        Images with the sections of the report and its coded entries (`mesh`) as columns; labels of source "mesh".

    Raises
    ------
    InputError
        The folder is missing or has no reports, XML is malformed or defines entities, two reports have one number, or
        two reports name one image.

    Notes
    -----
    A report is a case, and also a patient because no patient identifier is published. A coded entry such as
    "Cardiomegaly/mild" states that its heading is present, by exact match of the heading; opacity, nodule, mass and
    thickening count only if the entry names the lung (the pleura). A coded report states every finding that headings
    can name: those not coded are absent, except where an entry leaves the finding open (an opacity without a
    location). Headings without equivalent in the vocabulary are counted in a note. A report that was not coded states
    nothing.

    Reports have no view, sex or age; these come from the DICOM headers where the DICOM files are present, also if PNG
    files are read. Otherwise the view is UNKNOWN. 2,586 of 7,469 headers have no view, and torchxrayvision found the
    others unreliable. The published reports give 7,470 images of 3,851 reports, of which 1,379 are normal and 98 not
    coded.

    References
    ----------
    Demner-Fushman et al. 2016, doi:10.1093/jamia/ocv080.
    """
    root = Path(root)
    files = file_tree.files(root, suffixes=(".xml",))
    if not files:
        source_tables.table(root, ["ecgen-radiology/1.xml"], (), ABOUT)  # raises InputError
    reports = [_report(path) for path in files]
    _once([str(said["case_id"]) for said, _ in reports], root, "a number of its own (uId) in every report")
    _once([name for _, names in reports for name in names], root, "every image in one report")
    text = dict.fromkeys(("case_id", *(s.lower() for s in _SECTIONS), "mesh"), pl.String)
    table = pl.DataFrame([said for said, _ in reports], schema=text)
    table = table.with_columns(images=pl.Series([names for _, names in reports], dtype=pl.List(pl.String)))
    rows = table.explode("images").drop_nulls("images").rename({"images": "image_id"})
    images = tables.check(_placed(rows, root, site), "images", where=root)
    reports_with_image = table.join(images, on="case_id", how="semi")
    coded = reports_with_image.select("case_id", entry=pl.col("mesh").str.split("|")).explode("entry").drop_nulls()
    labels, notes = _labels(coded, root, vocabulary or load_vocabulary())
    if n_without_image := table.height - reports_with_image.height:
        notes += (f"{n_without_image:,} reports have no image",)
    if n_not_coded := reports_with_image.height - labels["case_id"].n_unique():
        notes += (f"{n_not_coded:,} reports with images were not coded: they state nothing",)
    return Source(images, labels, notes=notes + source_tables.counts_note(images, ABOUT))


def _once(values: list[str], root: Path, expected: str) -> None:
    repeated_values = [v for v, n in Counter(values).items() if n > 1]
    if repeated_values:
        raise InputError(root, expected, f"{len(repeated_values):,} in several", examples=sorted(repeated_values))


def _placed(rows: pl.DataFrame, root: Path, site: str) -> pl.DataFrame:
    """Images with the path of each file and, where its DICOM file is present, values from the header."""
    pictures = {p.stem: p.relative_to(root).as_posix() for p in file_tree.files(root, suffixes=(".png", ".jpg"))}
    # The DICOM file of CXR10_IM-0002-1001 is 10_IM-0002-1001.dcm.
    dicom = {
        f"CXR{p.stem.removeprefix('CXR')}": p.relative_to(root).as_posix()
        for p in file_tree.files(root, suffixes=(".dcm",))
    }
    image_name = pl.col("image_id")
    rows = rows.with_columns(
        patient_id="case_id",
        site=pl.lit(site),
        dataset=pl.lit("openi"),
        view=pl.lit("UNKNOWN"),
        _dicom=image_name.replace_strict(dicom, default=None, return_dtype=pl.String),
        _picture=image_name.replace_strict(pictures, default=None, return_dtype=pl.String),
    )
    rows = rows.with_columns(path=pl.coalesce("_picture", "_dicom", pl.format("{}.png", image_name)))
    if dicom:
        headers = original_headers.stated(rows.select("image_id", path=pl.coalesce("_dicom", "path")), root)
        rows = rows.drop("view").hstack(headers.drop("image_id", "path"))
        resized = pl.col("_picture").is_not_null()
        rows = rows.with_columns(pl.when(~resized).then("pixel_mm").alias("pixel_mm"))  # the PNG has other pixels
    return rows.drop("_dicom", "_picture")


def _report(path: Path) -> tuple[dict[str, str | None], list[str]]:
    """Number, sections and coded entries (joined by |) of a report, and its images."""
    data = regular.content(path, most=limits.DOCUMENT_BYTES)
    _refuse_doctype(data, path)
    top = ElementTree.fromstring(data)
    uid = top.find("./uId")
    text: dict[str, str | None] = dict.fromkeys(s.lower() for s in _SECTIONS)
    for part in top.iter("AbstractText"):
        if part.get("Label") in _SECTIONS:
            text[str(part.get("Label")).lower()] = (part.text or "").strip() or None
    entries = [(m.text or "").strip() for m in top.findall("./MeSH/major")]
    names = [image.get("id", "") for image in top.findall("./parentImage")]
    if "" in names:
        raise InputError(path, "an id of every parentImage", f"{names.count('')} without")
    case = (uid.get("id") if uid is not None else "") or path.stem
    return text | {"case_id": case, "mesh": "|".join(e for e in entries if e) or None}, names


def _refuse_doctype(data: bytes, path: Path) -> None:
    """Refuse XML with a document type: it could include other files or expand without limit, in any encoding."""
    document_types: list[str] = []
    reader = expat.ParserCreate()
    reader.StartDoctypeDeclHandler = lambda name, *_: document_types.append(name)
    try:
        reader.Parse(data, True)
    except expat.ExpatError as error:
        if not document_types:
            found = f"one that is broken ({error})"
            raise InputError(path, "a report in XML", found, do="Fetch the file again.") from error
    if document_types:
        raise InputError(path, "a report without a document type", f"one that defines '{document_types[0]}'")


def _labels(coded: pl.DataFrame, root: Path, vocabulary: Vocabulary) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Labels of coded entries (case_id, entry), and notes on entries that the vocabulary lacks."""
    rows, spare, open_ = [], Counter[str](), Counter[str]()
    stated_findings = [f for f in vocabulary.names() if any(f in found for found in _MESH.values())]
    for (case,), entries in coded.group_by("case_id", maintain_order=True):
        parts = [[p.strip() for p in e.casefold().split("/")] for e in entries["entry"]]
        parts = [p for p in parts if p[0] not in _NONE]
        known = [p for p in parts if p[0] in _MESH]
        placed = [p for p in known if _PLACE.get(p[0], p[0]) in p]
        present = {f for p in placed for f in _MESH[p[0]]}
        loose = [p for p in parts if p[0] in _UNSAID or (p in known and p not in placed)]
        unsaid = {f for p in loose for f in _UNSAID.get(p[0]) or _MESH[p[0]]} - present
        spare.update(p[0] for p in parts if p[0] not in _MESH and p[0] not in _UNSAID)
        open_.update(unsaid)
        rows += [
            (case, f, "present" if f in present else "absent") for f in stated_findings if parts and f not in unsaid
        ]
    label_rows = pl.DataFrame(rows, schema=dict.fromkeys(("case_id", "finding", "state"), pl.String), orient="row")
    notes: tuple[str, ...] = ()
    if spare:
        notes += (f"{len(spare)} coded terms are not in the vocabulary ({_shown(spare)}): kept in mesh",)
    if open_:
        notes += (f"reports in which a code leaves a finding open, which is then not stated: {_shown(open_)}",)
    return tables.check(
        label_rows.with_columns(source=pl.lit("mesh")), "labels", where=root, vocabulary=vocabulary
    ), notes


def _shown(counts: Counter[str]) -> str:
    return ", ".join(f"{word} {n:,}" for word, n in counts.most_common(5)) + (", …" if len(counts) > 5 else "")
