"""Classes of VinDr-CXR and the findings that they are: Nguyen et al. 2022, doi:10.1038/s41597-022-01498-w."""

from __future__ import annotations

from collections.abc import Mapping

# "" = not in the vocabulary.
CLASSES: Mapping[str, str] = {
    "Aortic enlargement": "",
    "Atelectasis": "atelectasis",
    "Calcification": "",
    "Cardiomegaly": "cardiomegaly",
    "Clavicle fracture": "fracture",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Emphysema": "emphysema",
    "Enlarged PA": "",
    "ILD": "",
    "Infiltration": "infiltration",
    "Lung Opacity": "lung_opacity",
    "Lung cavity": "",
    "Lung cyst": "",
    "Mediastinal shift": "",
    "Nodule/Mass": "lung_lesion",
    "Pleural effusion": "pleural_effusion",
    "Pleural thickening": "pleural_thickening",
    "Pneumothorax": "pneumothorax",
    "Pulmonary fibrosis": "fibrosis",
    "Rib fracture": "fracture",
    "Other lesion": "",
    "COPD": "",
    "Lung tumor": "",
    "Pneumonia": "pneumonia",
    "Tuberculosis": "tuberculosis",
    "Other disease": "",
    "Other diseases": "",
    "No finding": "no_finding",
}
