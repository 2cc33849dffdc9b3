"""Schemas of the JSON files of overread; further keys are allowed, so that later versions can add some."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

_OPEN = ConfigDict(extra="allow", strict=True)
_Count = Annotated[int, Field(ge=0)]
_Texts = list[str]


class Output(TypedDict):
    """A file that a run wrote: size and SHA-256; its time is checked when files are compared."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    bytes: _Count
    sha256: str


class RunRecord(TypedDict, total=False):
    """run.json: the record of a run."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    command: str
    status: Literal["running", "complete", "interrupted", "failed"]
    fingerprint: str
    config: dict[str, Any] | None
    inputs: dict[str, str]
    seed: int | None
    started: str
    versions: dict[str, str]
    machine: dict[str, Any]
    notes: dict[str, Any]
    outputs: dict[str, Output]
    error: str
    seconds: float | None


class TrainingSettings(TypedDict, total=False):
    """The settings of a training run that a report uses."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    network: str
    epochs: int
    steps: int
    batch_size: int
    learning_rate: float
    weights: str | None
    patience: int | None
    positive_weight_cap: float
    uncertain: dict[str, str]


class Training(TrainingSettings, total=False):
    """The configuration in run.json of a training run: the settings, or these in a section of their own."""

    training: TrainingSettings


class EvaluationSettings(TypedDict, total=False):
    """The settings of an evaluation that a report uses."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    findings: _Texts
    reference: str | _Texts
    uncertain: str
    uncertain_calls: str
    case_score: str
    subgroups: _Texts
    minimum_present: int
    minimum_absent: int
    replicates: int
    smallest_worthwhile_gain: float
    roles: dict[str, str | dict[str, str]]
    hypotheses: _Texts
    members: dict[str, _Texts]
    reader_made: _Texts | dict[str, _Texts]


class Stamp(TypedDict, total=False):
    """stage.json: the fingerprint of a stage, in progress or complete."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    under_way: str
    done: str
    computing: dict[str, Any]


class MadeRecord(TypedDict):
    """made.json: the files of a folder by name, with their sizes in bytes."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    files: dict[str, _Count]


class Head(TypedDict):
    """Number and hash of the ledger entry of an evaluation."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    number: Annotated[int, Field(ge=1)]
    hash: str


class EntryRecord(TypedDict):
    """A line of the ledger."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[misc]
    number: Annotated[int, Field(ge=1)]
    time: str
    kind: str
    analysis: str
    models: _Texts
    cases: _Count
    labels_hash: str
    protocol_hash: str
    fragment: str
    previous: str
    hash: str


class Opened(TypedDict, total=False):
    """An analysis with its models and the number of cases whose labels it accessed."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    analysis: str
    models: _Texts
    cases: _Count


class Notes(TypedDict, total=False):
    """notes.json: notes of an evaluation."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    notes: _Texts
    opened: list[Opened]
    ledger: Head | None


class PointRecord(TypedDict, total=False):
    """A frozen operating point of a model.json."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    threshold: float | None
    specificity: float | None
    sensitivity: float | None
    target: float
    at: str
    note: str | None


class ArchitectureRecord(TypedDict, total=False):
    """The network of a model.json."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    network: str
    channels: Annotated[int, Field(ge=1, le=3)]
    outputs: Annotated[int, Field(ge=1, le=10_000)]
    normalisation: str


class ModelRecord(TypedDict, total=False):
    """model.json: the record of a model; the reader of model folders checks which keys are required."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    format: int
    name: str
    kind: Literal["single", "ensemble"]
    architecture: ArchitectureRecord | None
    findings: _Texts
    not_outputs: _Texts
    recipe: dict[str, Any]
    training_sites: _Texts
    recalibration: dict[str, dict[str, float | str | None]]
    operating_points: dict[str, dict[str, PointRecord]]
    members: _Texts
    member_weights: dict[str, str]
    positive_weights: dict[str, float | None] | None
    prevalence: dict[str, dict[str, float | None]] | None
    n_train_images: _Count | list[_Count] | None
    n_train_patients: _Count | list[_Count] | None
    protocol_hash: str | None
    files: dict[str, str]


class MapsRecord(TypedDict):
    """heatmaps.json: the findings in the order of the second axis of the maps."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    findings: _Texts


class PartRecord(TypedDict):
    """The record of a part of a pixel store: its inputs, and the outcome for every image."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    key: str
    file: Output
    images: list[dict[str, Any]]
