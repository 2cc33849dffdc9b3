import pytest
from pydicom.sr._concepts_dict import concepts

from overread import findings
from overread.errors import InputError

CHEST = findings.load("chest")
NIH = [
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
]
CHEXPERT = [
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
]


@pytest.mark.parametrize(("source", "words"), [("nih14", [*NIH, "No Finding"]), ("chexpert", CHEXPERT)])
def test_every_label_of_the_two_sets_has_its_own_finding(source, words):
    assert len({CHEST.resolve(w, source=source) for w in words}) == len(words)


@pytest.mark.parametrize("word", ["COVID-19", "Tuberculosis", "Viral Pneumonia", "Bacterial Pneumonia"])
def test_the_other_findings_resolve_from_any_source(word):
    assert CHEST.title(CHEST.resolve(word, source="nih14")).casefold() == word.casefold()


def test_a_substring_is_not_a_synonym():
    with pytest.raises(InputError, match="found 'Effus'"):
        CHEST.resolve("Effus")
    with pytest.raises(InputError, match="Did you mean 'Effusion'"):
        CHEST.resolve("Efusion")


def test_a_child_present_implies_its_ancestors():
    assert CHEST.implied(["nodule", "cardiomegaly"]) == (
        "cardiomegaly",
        "enlarged_cardiomediastinum",
        "lung_opacity",
        "lung_lesion",
        "nodule",
    )


def test_parents_are_of_the_vocabulary_and_never_in_a_circle():
    for f in CHEST.findings:
        assert f.name in CHEST.implied([f.name])


def test_every_code_is_in_the_dicom_context_groups_under_a_name_that_fits():
    known = {code: meaning for c in concepts["SCT"].values() for code, (meaning, _) in c.items()}
    coded = {f.title: known.get(f.code) for f in CHEST.findings if f.code}
    assert coded == {
        "Pleural effusion": "Pleural effusion",
        "Mass": "Mass",
        "Nodule": "Nodule",
        "Pneumothorax": "Pneumothorax",
        "Pulmonary edema": "Pulmonary edema",
    }
