"""Model folders: model.json, weights.safetensors and train_patients.txt, validated when opened."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from overread import findings, integrity, limits, regular
from overread.errors import InputError
from overread.findings import Vocabulary
from overread.images.recipe.pixel_recipe import Recipe
from overread.tables.records.kinds import ModelRecord
from overread.tables.records.typed_files import read_json, read_text, typed
from overread.training.fitting.checkpoint import check_finite
from overread.training.networks import architectures

FORMAT = 1
"""The format of model.json that is written here; a newer one is refused."""

# The files of a model that its record vouches for, and how large they may be.
HASHED = {"weights.safetensors": limits.WEIGHT_BYTES, "train_patients.txt": limits.LIST_BYTES}
"""The files whose hashes stand in model.json."""

_AGAIN = "Copy the model again, all its files together, or train it again."

# Every key that a model must state, and what it is in JSON.
_REQUIRED: dict[str, type] = {
    "name": str,
    "kind": str,
    "findings": list,
    "not_outputs": list,
    "recipe": dict,
    "training_sites": list,
    "recalibration": dict,
    "operating_points": dict,
}
_ARCHITECTURE = ("network", "channels", "outputs")


@dataclass(frozen=True, slots=True)
class Model:
    """A frozen model, or an ensemble of such: everything that its folder states, and the patients it was trained on.

    ``findings`` are the network's outputs in order; those in ``not_outputs`` no training source states, and nothing
    is predicted for them. ``vocabulary`` is the one that they were learnt under. ``record`` is model.json as it was
    read.
    """

    folder: Path
    name: str
    kind: str
    architecture: architectures.Architecture | None
    findings: tuple[str, ...]
    vocabulary: Vocabulary
    not_outputs: tuple[str, ...]
    recipe: Recipe
    recalibration: Mapping[str, Mapping[str, Any]]
    members: tuple[Model, ...]
    train_patients: frozenset[str]
    record: Mapping[str, Any]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The findings that the model predicts, in the order of the network."""
        return tuple(f for f in self.findings if f not in self.not_outputs)

    @property
    def singles(self) -> tuple[Model, ...]:
        """The models that are run: the members of an ensemble, or the model itself."""
        return self.members or (self,)

    @property
    def columns(self) -> list[int]:
        """Return the indices of ``outputs`` in the output of the network."""
        if self.architecture is not None and self.architecture.outputs == len(self.outputs):
            return list(range(len(self.outputs)))
        return [i for i, f in enumerate(self.findings) if f not in self.not_outputs]

    def files(self) -> dict[str, Path]:
        """Return the files on which predictions depend, by name."""
        own = {"model.json": self.folder / "model.json"}
        if self.kind == "single":
            return own | {"weights.safetensors": self.folder / "weights.safetensors"}
        return own | {
            f"{member.folder.name}/{name}": path for member in self.members for name, path in member.files().items()
        }


def open_model(folder: Path | str) -> Model:
    """Open a model folder and validate it; weights are read later, by `load_network`.

    Parameters
    ----------
    folder : path
        The model folder.

    Returns
    -------
    Model
        The model, or an ensemble with its members.

    Raises
    ------
    InputError
        The folder is not a model; model.json has a newer format or lacks keys; weights or the list of training patients
        are missing; a file was changed after it was written; members of an ensemble do not match it or were changed.
    """
    folder = Path(folder)
    record = _read_record(folder)
    problems = _problems(folder / "model.json", record)
    if problems:
        raise InputError.all(problems)
    single = record["kind"] == "single"
    if single and not (folder / "weights.safetensors").is_file():
        raise InputError(folder, "a file weights.safetensors beside model.json", "none", do="Train the model again.")
    patients = _train_patients(folder)
    check_files(folder, record)
    return Model(
        folder=folder,
        name=record["name"],
        kind=record["kind"],
        architecture=architectures.Architecture.from_dict(record["architecture"]) if single else None,
        findings=tuple(record["findings"]),
        vocabulary=findings.recorded(record.get("vocabulary"), folder / "model.json"),
        not_outputs=tuple(record["not_outputs"]),
        recipe=Recipe.from_dict(record["recipe"]),
        recalibration=record["recalibration"],
        members=() if single else _members(folder, record),
        train_patients=patients,
        record=record,
    )


def load_network(model: Model) -> nn.Module:
    """Return the network of a single model with its weights, in eval mode and without gradients.

    Raises
    ------
    InputError
        The weights file is damaged, or its names or shapes do not match the architecture.
    """
    if model.architecture is None:
        raise InputError(model.folder, "a single model", "an ensemble, which has the networks of its members")
    path = model.folder / "weights.safetensors"
    weights = _read_weights(path)
    with torch.random.fork_rng(devices=[]):  # the random weights that are replaced must not move the caller's stream
        network = architectures.build(model.architecture)
    problems = _mismatches(network.state_dict(), weights)
    if problems:
        raise InputError(
            path,
            f"the weights of {model.architecture.network} with {model.architecture.outputs} outputs",
            f"{len(problems)} keys that do not match",
            examples=problems,
            do="Take the weights that belong to model.json.",
        )
    check_finite(path, weights, do="The training diverged, or the file is damaged: copy it again or train again.")
    network.load_state_dict(weights, strict=True)
    return network.eval().requires_grad_(False)


def write_record(folder: Path | str, record: Mapping[str, Any]) -> Path:
    """Write model.json atomically, with its format, the hashes of weights and training patients, and its own hash.

    It is written after these files. A record that `open_model` would refuse is refused.
    """
    folder = Path(folder)
    path = folder / "model.json"
    full = {"format": FORMAT, **record}
    problems = _problems(path, full)
    if problems:
        raise InputError.all(problems)
    hashes = {name: integrity.file_hash(folder / name) for name in HASHED if (folder / name).is_file()}
    return integrity.write_sealed(path, {**full, "files": hashes})


def check_files(folder: Path, record: Mapping[str, Any]) -> None:
    """Refuse a model whose record, weights or list of training patients were not written together."""
    integrity.check_seal(folder / "model.json", do=_AGAIN)
    hashes: Mapping[str, str] = record.get("files", {})
    unknown = [name for name in HASHED if (folder / name).exists() and name not in hashes]
    if unknown:
        found = "that model.json records no hash" + (f" of {', '.join(unknown)}" if hashes else "es of its files")
        raise InputError(folder, "a model with the hashes of its files", found, do=_AGAIN)
    for name, most in HASHED.items():
        if (folder / name).exists():
            with regular.opened(folder / name, most=most):  # raises, before a device or 1 TB of zeros is hashed
                pass
    changed = [
        integrity.Difference(name, integrity.CHANGED)
        for name in HASHED
        if (folder / name).is_file() and hashes.get(name) != integrity.file_hash(folder / name)
    ]
    integrity.refuse(folder, changed, do=_AGAIN)


def _read_record(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not os.path.isfile(path):
        found = "no folder there" if not os.path.isdir(folder) else "no model.json in it"
        raise InputError(folder, "a model folder (model.json, weights.safetensors, train_patients.txt)", found)
    record: dict[str, Any] = read_json(path, dict[str, Any])
    if record.get("format", FORMAT) != FORMAT:
        raise InputError(
            path,
            f"format {FORMAT}",
            f"format {record['format']!r}",
            do="It was written by a newer overread; update this one." if _newer(record["format"]) else "",
        )
    return record


def _newer(value: Any) -> bool:
    return isinstance(value, int) and value > FORMAT


def _problems(path: Path, record: Mapping[str, Any]) -> list[InputError]:
    """Return all missing and invalid values of a model.json."""
    kind = record.get("kind")
    required = _REQUIRED | ({"members": list} if kind == "ensemble" else {"architecture": dict})
    missing = [key for key in required if key not in record]
    if missing:
        return [InputError(path, "the keys of a model", f"{len(missing)} missing", examples=missing)]
    try:
        typed(record, ModelRecord, path)
    except InputError as error:
        return list(error.problems)
    problems = []
    names = list(record["findings"])
    try:
        known = findings.recorded(record.get("vocabulary"), path).names()
    except InputError as error:
        return list(error.problems)
    unknown = [f for f in names if f not in known]
    if unknown:
        problems.append(InputError(path, "findings of the vocabulary", f"{len(unknown)} unknown", examples=unknown))
    if not names or len(set(names)) != len(names):
        problems.append(InputError(path, "findings, each once", ", ".join(names) or "none"))
    outputs = [f for f in names if f not in record["not_outputs"]]
    for key in ("recalibration", "operating_points"):
        lacking = [f for f in outputs if f not in record[key]]
        if lacking:
            problems.append(InputError(path, f"a {key} for every output", f"{len(lacking)} without", examples=lacking))
    bad = [f for f in outputs if f in record["recalibration"] and not _usable(record["recalibration"][f])]
    if bad:
        problems.append(InputError(path, "a finite intercept and a positive slope", "others", examples=bad))
    return problems + (_wrong_architecture(path, record, outputs) if kind == "single" else [])


def _wrong_architecture(path: Path, record: Mapping[str, Any], outputs: Sequence[str]) -> list[InputError]:
    architecture = record["architecture"]
    missing = [key for key in _ARCHITECTURE if key not in architecture]
    if missing:
        return [
            InputError(path, "an architecture: network, channels, outputs", f"{len(missing)} missing", examples=missing)
        ]
    if architecture["channels"] not in (1, 3):
        return [InputError(path, "1 or 3 channels", f"{architecture['channels']}")]
    if architecture["outputs"] not in (len(outputs), len(record["findings"])):
        found = f"{architecture['outputs']} outputs for {len(record['findings'])} findings"
        return [InputError(path, "an output of the network for every finding", found)]
    return []


def _usable(line: Mapping[str, Any]) -> bool:
    intercept, slope = line.get("intercept"), line.get("slope")
    if not isinstance(intercept, int | float) or not isinstance(slope, int | float):
        return False
    return math.isfinite(intercept) and math.isfinite(slope) and slope > 0


def _train_patients(folder: Path) -> frozenset[str]:
    path = folder / "train_patients.txt"
    if not path.is_file():
        raise InputError(
            folder,
            "a file train_patients.txt, which lists the patients of the training data",
            "none",
            do="Without it the independence of a test set cannot be checked: train the model again.",
        )
    return frozenset(line for line in read_text(path, "a list of patients", most=limits.LIST_BYTES).split("\n") if line)


def _members(folder: Path, record: Mapping[str, Any]) -> tuple[Model, ...]:
    path = folder / "model.json"
    if not record["members"]:
        raise InputError(path, "an ensemble of at least one member", "none")
    if any(_read_record(folder / name).get("kind") != "single" for name in record["members"]):  # it may be itself
        raise InputError(path, "members that are single models", "an ensemble among them")
    members = tuple(open_model(folder / name) for name in record["members"])
    own_facts = (record["findings"], record["not_outputs"], record["recipe"])
    other = [m.name for m in members if [m.record[k] for k in ("findings", "not_outputs", "recipe")] != list(own_facts)]
    if other:
        raise InputError(path, "members with its findings and pixel recipe", f"{len(other)} others", examples=other)
    hashes = record.get("member_weights", {})
    changed = [
        name
        for name, member in zip(record["members"], members, strict=True)
        if name in hashes and hashes[name] != member.record["files"]["weights.safetensors"]
    ]
    if changed:
        raise InputError(
            path,
            "the weights that the ensemble was frozen with",
            f"{len(changed)} members changed since",
            examples=changed,
            do="Combine the members again.",
        )
    return members


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        with regular.opened(path, most=limits.WEIGHT_BYTES):
            return load_file(path)
    except FileNotFoundError as error:
        raise InputError(path, "a weights file", "none") from error
    except Exception as error:  # of safetensors, and of torch where a type or a size is none that it knows
        raise InputError(path, "a whole safetensors file", "a damaged one", do="Copy it again.") from error


def _mismatches(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    problems = [f"{key} missing" for key in own if key not in weights]
    problems += [f"{key} unknown" for key in weights if key not in own]
    shared = [key for key in own if key in weights]
    problems += [
        f"{key} {tuple(weights[key].shape)} for {tuple(own[key].shape)}"
        for key in shared
        if own[key].shape != weights[key].shape
    ]
    return problems + [f"{key} of {weights[key].dtype}" for key in shared if other_type(own[key], weights[key])]


def other_type(own: Tensor, given: Tensor) -> bool:
    """Return whether a tensor has another kind of values than that of the network, such as integers for weights."""
    return own.is_floating_point() != given.is_floating_point() or given.is_complex()
