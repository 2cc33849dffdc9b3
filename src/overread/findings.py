"""The vocabulary of findings: ChestX-ray14 and CheXpert labels, COVID-19, tuberculosis, viral and bacterial pneumonia.

A code is given only where a citable source was found for exactly this concept (the DICOM context groups as shipped in
`pydicom.sr.codedict`); an empty code is better than a wrong one. A child that is present implies its parent present.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from overread.errors import InputError, did_you_mean


@dataclass(frozen=True, slots=True)
class Finding:
    """A pathology or observation: name in tables, title in print, SNOMED CT code, parent, synonyms by source."""

    name: str
    title: str
    code: str = ""
    parent: str = ""
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _both(word: str) -> dict[str, tuple[str, ...]]:
    return {"nih14": (word,), "chexpert": (word,)}


# "four_findings": the reads and adjudicated labels of ChestX-ray14 images of Majkowska et al. 2020
# (doi:10.1148/radiol.2019191293).
# CheXpert's hierarchy (Irvin et al. 2019, doi:10.1609/aaai.v33i01.3301590, figure 1): cardiomegaly under enlarged
# cardiomediastinum; edema, consolidation, pneumonia, lung lesion and atelectasis under lung opacity.
VOCABULARY: tuple[Finding, ...] = (
    Finding("no_finding", "No finding", synonyms=_both("No Finding")),
    Finding("atelectasis", "Atelectasis", parent="lung_opacity", synonyms=_both("Atelectasis")),
    Finding("cardiomegaly", "Cardiomegaly", parent="enlarged_cardiomediastinum", synonyms=_both("Cardiomegaly")),
    Finding(
        "enlarged_cardiomediastinum",
        "Enlarged cardiomediastinum",
        synonyms={"chexpert": ("Enlarged Cardiomediastinum", "Enlarged Cardiom.")},
    ),
    Finding(
        "pleural_effusion",
        "Pleural effusion",
        code="60046008",
        synonyms={"nih14": ("Effusion",), "chexpert": ("Pleural Effusion",)},
    ),
    Finding("infiltration", "Infiltration", parent="lung_opacity", synonyms={"nih14": ("Infiltration",)}),
    Finding(
        "lung_opacity",
        "Lung opacity",
        synonyms={"chexpert": ("Lung Opacity", "Airspace Opacity"), "four_findings": ("Airspace opacity",)},
    ),
    Finding(
        "lung_lesion",
        "Lung lesion",
        parent="lung_opacity",
        synonyms={"chexpert": ("Lung Lesion",), "four_findings": ("Nodule/mass", "Nodule or mass")},
    ),
    Finding("mass", "Mass", code="4147007", parent="lung_lesion", synonyms={"nih14": ("Mass",)}),
    Finding("nodule", "Nodule", code="27925004", parent="lung_lesion", synonyms={"nih14": ("Nodule",)}),
    Finding("pneumonia", "Pneumonia", parent="lung_opacity", synonyms=_both("Pneumonia")),
    Finding("viral_pneumonia", "Viral pneumonia", parent="pneumonia"),
    Finding("bacterial_pneumonia", "Bacterial pneumonia", parent="pneumonia"),
    Finding("covid_19", "COVID-19", parent="viral_pneumonia", synonyms={"": ("COVID-19", "COVID19")}),
    Finding(
        "pneumothorax",
        "Pneumothorax",
        code="36118008",
        synonyms=_both("Pneumothorax") | {"four_findings": ("Pneumothorax",)},
    ),
    Finding("consolidation", "Consolidation", parent="lung_opacity", synonyms=_both("Consolidation")),
    Finding("edema", "Pulmonary edema", code="19242006", parent="lung_opacity", synonyms=_both("Edema")),
    Finding("emphysema", "Emphysema", synonyms={"nih14": ("Emphysema",)}),
    Finding("fibrosis", "Pulmonary fibrosis", synonyms={"nih14": ("Fibrosis",)}),
    Finding(
        "pleural_thickening",
        "Pleural thickening",
        parent="pleural_other",
        synonyms={"nih14": ("Pleural_Thickening", "Pleural Thickening")},
    ),
    Finding("pleural_other", "Other pleural abnormality", synonyms={"chexpert": ("Pleural Other",)}),
    Finding("hernia", "Hiatal hernia", synonyms={"nih14": ("Hernia",)}),
    Finding("fracture", "Fracture", synonyms={"chexpert": ("Fracture",), "four_findings": ("Fracture",)}),
    Finding("support_devices", "Support devices", synonyms={"chexpert": ("Support Devices",)}),
    Finding("tuberculosis", "Tuberculosis"),
)
_BY_NAME = {f.name: f for f in VOCABULARY}


def names() -> tuple[str, ...]:
    """Every finding's name, in the vocabulary's order."""
    return tuple(_BY_NAME)


def finding(name: str) -> Finding:
    """The finding of that name.

    Raises InputError with the nearest known name.

    >>> finding("edema").title
    'Pulmonary edema'
    """
    if name not in _BY_NAME:
        raise InputError("finding", "a name of the vocabulary", f"'{name}'", do=did_you_mean(name, _BY_NAME))
    return _BY_NAME[name]


def title(name: str) -> str:
    """How a finding is printed; a word outside the vocabulary is printed as it stands.

    >>> title("pleural_effusion"), title("(mean)")
    ('Pleural effusion', '(mean)')
    """
    return _BY_NAME[name].title if name in _BY_NAME else name


def _spellings(entry: Finding, source: str) -> set[str]:
    own = entry.synonyms.get(source, ()) if source else [w for words in entry.synonyms.values() for w in words]
    return {w.casefold() for w in (entry.name, entry.title, *own, *entry.synonyms.get("", ()))}


def resolve(word: str, *, source: str = "") -> str:
    """The name of the finding that a source calls `word`: whole synonyms only, never substrings.

    `source` restricts the synonyms to those of one source ("nih14", "chexpert"); "" takes all of them.

    >>> resolve("Effusion", source="nih14")
    'pleural_effusion'
    """
    key = word.strip().casefold()
    matches = [f.name for f in VOCABULARY if key in _spellings(f, source)]
    if len(matches) != 1:
        known = sorted({w for f in VOCABULARY for w in (f.name, *(s for ws in f.synonyms.values() for s in ws))})
        what = f"'{word}'" + (f", which means {' or '.join(matches)}" if matches else "")
        raise InputError(
            f"finding of source '{source}'" if source else "finding",
            "a known finding",
            what,
            do=did_you_mean(word, known),
        )
    return matches[0]


def implied(present: Iterable[str]) -> tuple[str, ...]:
    """The given findings and all their ancestors, in the vocabulary's order.

    >>> implied(["covid_19"])
    ('lung_opacity', 'pneumonia', 'viral_pneumonia', 'covid_19')
    """
    found: set[str] = set()
    for name in present:
        while name:
            found.add(name)
            name = finding(name).parent
    return tuple(n for n in _BY_NAME if n in found)
