"""Schema of the protocol: one TOML file that defines a study before access to its test labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from overread import credentials, datasets, findings, limits, runs
from overread.cohort import CohortConfig
from overread.errors import InputError, did_you_mean
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.findings import Vocabulary
from overread.simulation import hospital_options as simulated
from overread.tables.records.configuration import parse_section, problem, put_value, strictly
from overread.tables.records.typed_files import checked_values, read_toml
from overread.tables.storage.names import check_names
from overread.training.training_config import TrainingConfig

SEEDS_TO_CLAIM = 3
SIMULATED = "simulate"  # the reader of sources that need no data
# What else lies in the folder of a study, beside the folders of its sources.
_FOLDERS = (
    "cohort",
    "models",
    "predictions",
    "evaluation",
    "report",
    "ledger",
    "ledger.jsonl",
    "protocol",
    "protocol.toml",
    "protocol.json",
    "run.json",
    "stage.json",
    "made.json",
)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Study(_Section):
    """Title, question, expected result and random seeds of the study."""

    title: str
    question: str = ""
    expected: str = ""
    seed: int = Field(1, ge=0, le=limits.SEED)
    training_seeds: tuple[Annotated[int, Field(ge=0, le=limits.SEED)], ...] = Field(
        (1, 2, 3), min_length=1, max_length=100
    )


class Governance(_Section):
    """Ethical approval or waiver, and terms of data use."""

    approval_body: str = ""
    approval_number: str = ""
    approval_date: str = ""
    waiver: str = ""
    data_use: tuple[str, ...] = ()


class SourceSpec(_Section):
    """A source of images and labels: a reader of overread.datasets, or "simulate", and its options.

    `max_unreadable` is the share of images of this source that may be missing or unreadable; None = that of [cohort].
    """

    reader: str
    root: str = "."
    max_unreadable: float | None = Field(None, ge=0, le=1)
    options: dict[str, Any] = Field(default_factory=dict)


class Sites(_Section):
    """Institutions for training (internal), and those that are used for external validation only."""

    internal: tuple[str, ...] = Field(min_length=1)
    external: tuple[str, ...] = ()


class ModelSpec(_Section):
    """A model: its training sites, its role in hypothesis H1, the largest number of its training images (None = all),
    and the keys of [training] that are its own.
    """

    sites: tuple[str, ...] = Field(min_length=1)
    role: Literal["pooled", "single", "matched", "other"] = "other"
    max_images: int | None = Field(default=None, ge=2)
    training: dict[str, Any] = Field(default_factory=dict)


class LabelPolicy(_Section):
    """The label source for training, and the label source that is the reference standard."""

    learn_from: str = ""
    reference: str = ""


class ReadFiles(_Section):
    """Tables beside the reads of the sources, as paths in the folder of the data: `sittings` has reading times and
    trust; "" = none.
    """

    sittings: str = ""


class _File(_Section):
    study: Study
    governance: Governance = Governance()
    sources: dict[str, SourceSpec] = Field(min_length=1)
    findings: dict[str, Any] = Field(default_factory=dict)
    cohort: dict[str, Any] = Field(default_factory=dict)
    sites: Sites
    labels: LabelPolicy = LabelPolicy()
    reads: ReadFiles = ReadFiles()
    training: dict[str, Any] = Field(default_factory=dict)
    models: dict[str, ModelSpec] = Field(default_factory=dict)
    evaluation: dict[str, Any] = Field(default_factory=dict)
    statements: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Protocol:
    """A validated protocol.

    Its hash covers everything but the statements (funding, intended use, …), which answer reporting checklists and
    affect no number.
    """

    study: Study
    governance: Governance
    sources: Mapping[str, SourceSpec]
    findings: Vocabulary
    cohort: CohortConfig
    sites: Sites
    reads: ReadFiles
    training: TrainingConfig
    models: Mapping[str, ModelSpec]
    trainings: Mapping[str, TrainingConfig]  # of every model: [training] with the keys of its own
    evaluation: EvaluationConfig
    statements: Mapping[str, str]

    def resolved(self) -> dict[str, Any]:
        """Return everything that affects a number, including defaults, as JSON values."""
        told = (f.name for f in fields(self) if f.name not in ("statements", "trainings"))
        return {name: _said(getattr(self, name)) for name in told}

    @property
    def hash(self) -> str:
        """The SHA-256 of the resolved protocol."""
        return runs.fingerprint(self.resolved())

    def warnings(self) -> list[str]:
        """Return the weaknesses of the planned study; they are also printed in the report."""
        sentences = []
        if len(self.sites.external) < 2:
            sentences.append(
                f"{len(self.sites.external)} external site{'s' * (len(self.sites.external) != 1)}: a claim about other "
                "hospitals needs at least two institutions that the models never saw."
            )
        seeds = len(self.study.training_seeds)
        if self.models and seeds < SEEDS_TO_CLAIM:
            sentences.append(
                f"{seeds} training seed{'s' * (seeds > 1)}: H1 needs at least {SEEDS_TO_CLAIM} to claim anything."
            )
        compared = [name for name, m in self.models.items() if m.role in ("pooled", "single")]
        if len(compared) > 1 and not all(self.trainings[name].steps for name in compared):
            sentences.append(
                "H1 compares models that are trained for the same number of epochs: those of one hospital take fewer "
                "steps, and a gain of pooling may be one of longer training. State [training] steps."
            )
        differing = _differing([self.trainings[name] for name in compared])
        if differing:
            sentences.append(f"H1 compares models that are trained differently: {', '.join(differing)}.")
        if not (self.governance.approval_number or self.governance.waiver):
            sentences.append("Governance: neither an approval nor a waiver is stated.")
        return sentences


def load(path: Path | str, *, changes: Mapping[str, Any] | None = None) -> Protocol:
    """Read and validate a protocol.

    Parameters
    ----------
    path : path
        The TOML file.
    changes : mapping, optional
        Values that replace those of the file, by dotted key, such as ``{"study.training_seeds": [1]}``.

    Returns
    -------
    Protocol
        The protocol with all defaults.

    Raises
    ------
    InputError
        A file that is missing or not TOML, and all keys that are unknown, missing or of the wrong type, in one error.
    """
    stated = read_toml(path, "a protocol (TOML)")
    for key, value in (changes or {}).items():
        put_value(stated, key, value)
    checked_values(stated, path)
    if secrets := credentials.problems(stated, str(path)):  # first: a message about another fault could show them
        raise InputError.all(secrets)
    return _protocol(stated, Path(path))


def _protocol(stated: dict[str, Any], path: Path) -> Protocol:
    problems: list[InputError] = []
    where = str(path)
    try:
        file = strictly(_File, stated)
    except ValidationError as error:
        raise InputError.all([problem(e, stated, where, _known_keys) for e in error.errors()[:20]]) from error
    derived = _derived(file)
    words = findings.stated(file.findings, f"{where} [findings]", folder=path.parent)
    sections: dict[str, Any] = {}
    for name, kind in (("cohort", CohortConfig), ("training", TrainingConfig), ("evaluation", EvaluationConfig)):
        try:
            sections[name] = parse_section(
                kind, getattr(file, name), f"{where} [{name}]", derived=derived[name], vocabulary=words
            )
        except InputError as error:
            problems.append(error)
    trainings: dict[str, TrainingConfig] = {}
    for name, model in file.models.items() if "training" in sections else ():
        own, place = {**file.training, **model.training}, f"models.{name}.training"
        try:
            trainings[name] = parse_section(
                TrainingConfig, own, f"{where} [{place}]", derived=derived["training"], vocabulary=words
            )
        except InputError as error:
            problems += [_moved(p, "training.", f"{where} {place}.") for p in error.problems]
    problems += _crossed(file, where)
    if problems:
        raise InputError.all(problems)
    if file.statements:
        from overread.reporting import checklists  # plots: loaded only where there is something to check

        checklists.check_statements(file.statements, f"{where} [statements]")
    return Protocol(
        file.study,
        file.governance,
        file.sources,
        findings=words,
        sites=file.sites,
        reads=file.reads,
        models=file.models,
        trainings=trainings,
        statements=file.statements,
        **sections,
    )


def _derived(file: _File) -> dict[str, dict[str, Any]]:
    """Return the values that sections take from other parts of the protocol, so that nothing is given twice."""
    by_role = {m.role: name for name, m in file.models.items() if m.role in ("pooled", "matched")}
    single = {name: m.sites[0] for name, m in file.models.items() if m.role == "single"}
    roles: dict[str, Any] = {str(role): name for role, name in by_role.items()} | ({"single": single} if single else {})
    seeds = file.study.training_seeds
    members = {name: tuple(f"{name}/seed-{s}" for s in seeds) for name in file.models} if len(seeds) > 1 else {}
    return {
        "cohort": {"seed": file.study.seed, "external_sites": file.sites.external},
        "training": {"seed": seeds[0], "label_source": file.labels.learn_from},
        "evaluation": {
            "seed": file.study.seed,
            "reference": file.labels.reference,
            "internal_sites": file.sites.internal,
            "external_sites": file.sites.external,
            "roles": roles,
            "members": members,
        },
    }


def _crossed(file: _File, where: str) -> list[InputError]:
    problems = check_names(file.sources, f"{where} [sources]", taken=_FOLDERS)
    problems += check_names(file.models, f"{where} [models]")
    if not file.models:
        do = "Add [models.NAME] with its sites; overread evaluate takes predictions that you have."
        problems.append(InputError(where, "at least one model", "none", do=do))
    for name, source in file.sources.items():
        problems += _source_problems(source, f"[sources.{name}.options]")
    both = sorted(set(file.sites.internal) & set(file.sites.external))
    if both:
        problems.append(
            InputError(f"{where} [sites]", "sites internal or external", "sites that are both", examples=both)
        )
    for name, model in file.models.items():
        for site in model.sites:
            if site not in file.sites.internal:
                hint = did_you_mean(site, file.sites.internal) or "Models learn from internal sites only."
                problems.append(InputError(f"{where} [models.{name}]", "internal sites", f"'{site}'", do=hint))
        if model.role == "single" and len(model.sites) != 1:
            problems.append(
                InputError(f"{where} [models.{name}]", "one site for a single-institution model", f"{len(model.sites)}")
            )
        if model.role == "matched" and model.max_images is not None:
            expected = "no max_images, which follows from the largest single-institution model"
            problems.append(InputError(f"{where} [models.{name}]", expected, f"{model.max_images}"))
    for role in ("pooled", "matched"):
        having = [n for n, m in file.models.items() if m.role == role]
        if len(having) > 1:
            problems.append(InputError(f"{where} [models]", f"one model of role '{role}'", "several", examples=having))
    return problems


def _moved(error: InputError, start: str, to: str) -> InputError:
    """A problem whose place starts in another way."""
    if not error.where.startswith(start):
        return error
    where = to + error.where.removeprefix(start)
    return InputError(where, error.expected, error.found, examples=error.examples, do=error.do)


def _differing(trainings: Sequence[TrainingConfig]) -> list[str]:
    """The keys of [training] in which these differ."""
    names = (f.name for f in fields(TrainingConfig) if f.name != "vocabulary")
    return [n for n in names if any(getattr(t, n) != getattr(trainings[0], n) for t in trainings)]


def _source_problems(source: SourceSpec, where: str) -> list[InputError]:
    """Check the reader of a source and its options."""
    try:
        if source.reader == SIMULATED:
            simulated.check(source.options, where=where)
        else:
            datasets.check(source.reader, source.options, where=where)
    except InputError as error:
        return list(error.problems)
    return []


def _known_keys(place: tuple[str, ...]) -> set[str]:
    kinds: dict[str, type[BaseModel]] = {
        "": _File,
        "study": Study,
        "governance": Governance,
        "sites": Sites,
        "labels": LabelPolicy,
        "reads": ReadFiles,
        "sources": SourceSpec,
        "models": ModelSpec,
    }
    return set(kinds[place[0] if place else ""].model_fields)


def _said(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {k: _said(v) for k, v in value.items()}
    return runs.plain(value)
