"""The configuration: what is refused, and how; free of torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import TypeAdapter

from overread import findings, integrity, runs
from overread.errors import InputError
from overread.training import training_config
from overread.training.training_config import Augmentation, TrainingConfig


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": "densenet-smal"}, "Did you mean 'densenet-small'?"),
        ({"epochs": 0}, "a number from 1 to 10000; found 0"),
        ({"epochs": 2.5}, "a whole number; found 2.5"),
        ({"learning_rate": float("nan")}, "training.learning_rate"),
        ({"channels": 2}, "1 or 3; found 2"),
        ({"weights": "nowhere.pth"}, "the path of a weight file; found 'nowhere.pth'"),
        ({"weights": "imagenet", "network": "densenet-small"}, "which is for densenet121 only"),
        ({"precision": "16-mixed"}, "one of auto, 32-true, bf16-mixed"),
        ({"findings": ("edma",)}, "Did you mean 'edema'?"),
        ({"findings": ("edema", "edema")}, "each finding once"),
        ({"uncertain": {"edema": "postive"}}, "training.uncertain.edema"),
        ({"uncertain": {"edema": "ignored"}}, "Did you mean 'ignore'?"),
        ({"augmentation": {"rotaton": 3}}, "Did you mean 'rotation'?"),
        ({"augmentation": {"noise": -0.1}}, "training.augmentation.noise"),
        ({"specificities": (0.9, 90)}, "fractions between 0 and 1; found 1 others (90)"),
        ({"positive_weight_cap": 0.5}, "training.positive_weight_cap"),
    ],
)
def test_refused(changes: dict, said: str):
    with pytest.raises(InputError) as raised:
        TrainingConfig(**changes)
    assert said in str(raised.value)


def test_all_problems_at_once():
    with pytest.raises(InputError, match="3 problems"):
        TrainingConfig(network="x", epochs=-1, precision="y")


def test_everything_is_stated_in_what_is_recorded():
    config = TrainingConfig(augmentation={"noise": 0.0}, uncertain={"edema": "present"})
    assert runs.plain(config)["augmentation"]["rotation"] == Augmentation().rotation
    assert config.strengths == Augmentation(noise=0.0)
    assert (config.policy("edema"), config.policy("mass")) == ("present", "ignore")
    stated = runs.plain(config)
    vocabulary = findings.recorded(stated.pop("vocabulary"), "run.json")
    assert TrainingConfig(**stated, vocabulary=vocabulary).strengths == config.strengths


def test_pydantic_reads_it_as_a_protocol_does():
    stated = {"epochs": 3, "findings": ["edema"], "uncertain": {"*": "absent"}, "augmentation": {"rotation": 0}}
    config = TypeAdapter(TrainingConfig).validate_python(stated)
    assert config.findings == ("edema",)
    assert config.policy("mass") == "absent"
    assert config.strengths.rotation == 0


def test_sources():
    assert TrainingConfig().sources == ()
    assert TrainingConfig(label_source="nih").sources == ("nih",)
    assert TrainingConfig(label_source=("nih", "kermany")).sources == ("nih", "kermany")


@pytest.mark.slow
def test_reading_a_configuration_imports_no_torch():
    code = "import sys, overread.training.training_config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_that_is_imagenets_gets_its_normalisation_whatever_its_name(tmp_path, monkeypatch):
    file = tmp_path / "renamed.pth"
    file.write_bytes(b"weights")
    monkeypatch.setitem(training_config.NORMALISATION_OF_FILE, integrity.file_hash(file)[:8], "imagenet")
    assert TrainingConfig(weights=str(file)).input_normalisation == "imagenet"
    assert TrainingConfig(weights=str(file), normalisation="unit").input_normalisation == "unit", "as the user says"
    assert TrainingConfig(weights="imagenet").input_normalisation == "imagenet"
    assert TrainingConfig().input_normalisation == "unit"


def test_torchvisions_file_is_known_by_the_digits_in_its_public_name():
    assert training_config.NORMALISATION_OF_FILE == {"a639ec97": "imagenet"}


def test_the_normalisation_of_an_unknown_file_must_be_given(tmp_path):
    file = tmp_path / "densenet121-a639ec97.pth"  # its name is not its content
    file.write_bytes(b"other weights")
    with pytest.raises(InputError) as raised:
        TrainingConfig(weights=str(file))
    assert str(raised.value).startswith(
        f"training.normalisation: expected one of unit, imagenet, torchxrayvision, as the network of {file} expects; "
        "found none, and the file is not one whose normalisation is known."
    )
    assert TrainingConfig(weights=str(file), normalisation="torchxrayvision").input_normalisation == "torchxrayvision"
