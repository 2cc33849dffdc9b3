"""What a report is made from: the tables of an evaluation, the cohort beside it, and who plays which part in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from math import nan
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from overread import codes, findings, ledger, runs, tables
from overread.codes import Metric
from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe
from overread.reporting.number_format import number
from overread.tables.records.kinds import EvaluationSettings, ModelRecord, Notes, Training
from overread.tables.records.typed_files import read_json, typed

MEAN = "(mean)"
DECISION = "decision"  # the value of `at` of decisions without scores
GAP_METRICS = (Metric.GAP_AUC, Metric.GAP_SENSITIVITY, Metric.GAP_SPECIFICITY, Metric.GAP_UNDERDIAGNOSIS)
FROM_READS = ("readers", "agreement", "H2")  # analyses whose rows have sections, raters and references of their own
Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cast:
    """Raters, findings and populations in the order in which the page names them."""

    raters: tuple[str, ...]  # the leading one first; members of an ensemble are not among them
    members: tuple[str, ...]
    findings: tuple[str, ...]
    populations: tuple[str, ...]  # those of the leading rater, or of all where no pooled model is named
    own: Mapping[
        str, tuple[str, ...]
    ]  # the populations of every rater: to a single-site model other sites are external
    roles: Mapping[str, Any]
    trained: bool  # whether a model.json is known: then "internal" means the sites it was trained on
    readers: tuple[str, ...] = ()  # whose reads were evaluated

    @property
    def reads_alone(self) -> bool:
        """Whether reads were evaluated and no model: no word on the page is then about one."""
        return bool(self.readers) and not self.raters

    @property
    def lead(self) -> str:
        """The rater that the page shows first: the pooled model, or else the first one."""
        return self.raters[0] if self.raters else ""

    @property
    def findings_and_mean(self) -> tuple[str, ...]:
        """The rows of a table by finding: every finding, and their mean if there are several."""
        return (*self.findings, MEAN) if len(self.findings) > 1 else self.findings

    @property
    def mean_and_findings(self) -> tuple[str, ...]:
        """The rows of a figure by finding: the mean first, if there are several findings."""
        return (*self.findings_and_mean[len(self.findings) :], *self.findings)

    @property
    def external(self) -> tuple[str, ...]:
        """The external populations."""
        return tuple(p for p in self.populations if p.startswith("external:"))

    def series(self, rater: str) -> int:
        """The place of a model on the page, which gives its colour and mark in every figure; outputs have the model's.

        A rater that is no model of the page comes after them.
        """
        model = rater.partition(" [")[0]
        return self.raters.index(model) if model in self.raters else len(self.raters)

    def populations_of(self, rater: str) -> tuple[str, ...]:
        """The populations that a rater was tested on."""
        return self.own.get(rater, self.populations)

    @property
    def single(self) -> tuple[str, ...]:
        """The models that learned from one site."""
        return tuple(self.roles.get("single") or ())


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that the sections read. A frame that was not given is empty; `cohort` tells whether one was."""

    estimates: pl.DataFrame  # findings in notes as a reader says them
    written: pl.DataFrame  # the estimates as the evaluation wrote them
    verdicts: pl.DataFrame
    curves: pl.DataFrame
    joined: pl.DataFrame
    account: pl.DataFrame
    flow: pl.DataFrame
    images: pl.DataFrame
    labels: pl.DataFrame
    regions: pl.DataFrame
    vocabulary: findings.Vocabulary  # of the evaluation
    cast: Cast
    study: Mapping[str, Any]
    run: Mapping[str, Any]
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    histories: Mapping[str, pl.DataFrame] = field(default_factory=dict)  # of every training run, by its name
    trainings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # run.json of every training run
    heatmaps: bool = False
    openings: tuple[ledger.Entry, ...] = ()  # accesses to the test labels
    ledger_head: Mapping[str, Any] | None = None  # number and hash of the entry that the evaluation wrote
    ledger_faults: tuple[str, ...] = ()  # what is missing in the ledger
    cohort: bool = False
    cohort_run: Mapping[str, Any] = field(default_factory=dict)  # run.json of the cohort
    duplicates: pl.DataFrame | None = None  # pairs of duplicate images; None where the cohort was not searched
    stored_size: int | None = None  # side of the stored images in pixels
    notes: tuple[str, ...] = ()  # what the evaluation says of itself
    derived: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)  # see `once`

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved configuration of the evaluation."""
        return self.run.get("config") or {}

    @property
    def cases_are_patients(self) -> bool:
        """Whether no images table told whose a case is, so that each was taken as a patient of its own."""
        texts = self.account["reason_code"].drop_nulls().unique()
        return any(code.name == "case_is_own_patient" for text in texts for code in codes.decode(text))

    def heading(self, finding: str) -> str:
        """How a finding, or the mean over findings, is headed."""
        return finding_heading(finding, self.vocabulary)

    @property
    def confidence(self) -> str:
        """The level of the intervals: `95%`."""
        return confidence_of(self.estimates)


def read_evidence(
    folder: Path | str,
    study: Mapping[str, Any],
    *,
    cohort_folder: Path | str | None = None,
    ledger_path: Path | str | None = None,
    models: Mapping[str, Path | str] | None = None,
) -> ReportData:
    """The tables of an evaluation folder with the cohort, the models and the ledger that belong to it.

    Raises InputError when the folder holds no estimates.
    """
    folder = Path(folder)
    if not (folder / "estimates.parquet").is_file():
        raise InputError(folder, "a folder written by `overread evaluate`", "no estimates.parquet in it")
    run = _run(folder, EvaluationSettings)
    given = {n: _json(Path(f) / "model.json", ModelRecord) for n, f in (models or {}).items()} | dict(
        study.get("models") or {}
    )
    written, trained = _table(folder, "estimates"), _training_folders(models or {})
    vocabulary = findings.recorded((run.get("config") or {}).get("vocabulary"), folder / "run.json")
    cast = _cast(written, run.get("config") or {}, study, given, vocabulary)
    stated = _json(folder / "notes.json", Notes)
    head = stated.get("ledger")
    return ReportData(
        estimates=_in_words(_in_words(written, "note", vocabulary), "note_codes", vocabulary),
        written=written,
        verdicts=_in_words(_table(folder, "verdicts"), "reason", vocabulary),
        curves=_table(folder, "curves"),
        joined=_table(folder, "joined"),
        account=_table(folder, "account"),
        flow=_table(cohort_folder, "flow"),
        images=_table(cohort_folder, "images"),
        labels=_table(cohort_folder, "labels"),
        regions=_table(cohort_folder, "regions"),
        vocabulary=vocabulary,
        cast=cast,
        study=study,
        run=run,
        models={
            name: given[name] for name in (*cast.raters, *(n for n in given if n not in cast.raters)) if given.get(name)
        },
        histories={
            n: tables.frame_of(f / "history.parquet") for n, f in trained.items() if (f / "history.parquet").is_file()
        },
        trainings={n: record for n, f in trained.items() if (record := _run(f, Training))},
        openings=_accesses(ledger_path),
        ledger_head=head,
        ledger_faults=tuple(ledger.faults(ledger_path, head)),
        cohort=cohort_folder is not None,
        cohort_run=_cohort_run(cohort_folder),
        duplicates=_pairs(cohort_folder),
        stored_size=_stored_size(cohort_folder),
        notes=tuple(stated.get("notes") or ()),
    )


def once(rule: Callable[[ReportData], T]) -> Callable[[ReportData], T]:
    """A value that follows from the evidence and that many parts of the page ask for: it is derived once.

    It is kept with the evidence; evidence that was made by `replace` derives it again.
    """
    name = f"{rule.__module__}.{rule.__qualname__}"

    @wraps(rule)
    def kept(evidence: ReportData) -> T:
        if name not in evidence.derived:
            evidence.derived[name] = rule(evidence)
        value: T = evidence.derived[name]
        return value

    return kept


def confidence_of(rows: pl.DataFrame) -> str:
    """The level of the intervals of some rows of the estimates.

    >>> confidence_of(pl.DataFrame({"confidence": [0.95, None]})), confidence_of(pl.DataFrame({"confidence": [0.9]}))
    ('95%', '90%')
    """
    levels = rows["confidence"].drop_nulls().unique().sort().to_list()
    return " and ".join(f"{100 * level:g}%" for level in levels or [0.95])


def error_rate(rows: Iterable[Row]) -> float:
    """The level of tests that goes with the intervals of these rows, below which a P value is counted.

    >>> error_rate([{"confidence": None}, {"confidence": 0.9}]), error_rate([])
    (0.1, 0.05)
    """
    return round(1 - next((number(row["confidence"]) for row in rows if row.get("confidence")), 0.95), 9)


@once
def weighted_sample(evidence: ReportData) -> tuple[int, int] | None:
    """Sizes of a weighted sample of test cases and of the population it stands for; None if weights are equal."""
    cases = evidence.joined.filter(pl.col("shift") == "none").select("case_id", "weight").unique("case_id")
    if cases.is_empty() or cases["weight"].null_count() == cases.height or cases["weight"].n_unique() < 2:
        return None
    return cases.height, round(float(cases["weight"].sum()))


def _accesses(path: Path | str | None) -> tuple[ledger.Entry, ...]:
    """The accesses to test labels in a ledger, () where there is none."""
    entries = [] if path is None else ledger.read(path)
    return tuple(entry for entry in entries if entry.kind == ledger.ACCESS)


def _table(folder: Path | str | None, name: str) -> pl.DataFrame:
    """A table of a folder, its findings those of the vocabulary that its run recorded; empty where there is none."""
    path = Path(folder) / f"{name}.parquet" if folder is not None else None
    if folder is None or path is None or not path.is_file():
        return tables.empty(name)
    return tables.read(path, name, vocabulary=runs.vocabulary(folder) if runs.is_run(folder) else None)


def _in_words(frame: pl.DataFrame, column: str, vocabulary: findings.Vocabulary) -> pl.DataFrame:
    """The table with the findings in a column of text as a reader says them."""
    texts = frame[column].drop_nulls().unique().to_list()
    return frame.with_columns(pl.col(column).replace({t: plain_words(t, vocabulary) for t in texts}))


def _run(folder: Path, kind: type[Any]) -> Mapping[str, Any]:
    """The run.json of a folder, its configuration of that kind; {} where there is none."""
    if not (folder / "run.json").is_file():
        return {}
    record = runs.read(folder)
    typed(record.get("config") or {}, kind, f"{folder / 'run.json'}, config")
    return record


def _cohort_run(folder: Path | str | None) -> Mapping[str, Any]:
    """The run.json of a cohort, {} where there is none."""
    return runs.read(Path(folder)) if folder is not None and (Path(folder) / "run.json").is_file() else {}


def _json(path: Path, kind: type[Any]) -> Mapping[str, Any]:
    return read_json(path, kind) if path.is_file() else {}


def _training_folders(models: Mapping[str, Path | str]) -> dict[str, Path]:
    """The folder of every training run: a model's own, or those of the seeds below or beside it."""
    found: dict[str, Path] = {}
    for name, given in models.items():
        folder = Path(given)
        beside = folder.name == "ensemble" or folder.name.startswith("seed-")
        seeds = sorted(p for p in (folder.parent if beside else folder).glob("seed-*") if p.is_dir())
        found |= {f"{name}/{p.name}": p for p in seeds} if seeds else {name: folder}
    return found


def _pairs(cohort_folder: Path | str | None) -> pl.DataFrame | None:
    file = Path(cohort_folder or "") / "duplicates.parquet"
    return tables.frame_of(file) if cohort_folder is not None and file.is_file() else None


def _stored_size(cohort_folder: Path | str | None) -> int | None:
    file = Path(cohort_folder or "") / "pixels" / "recipe.json"
    if cohort_folder is None or not file.is_file():
        return None
    return Recipe.from_dict(read_json(file, dict[str, Any])).size


def _cast(
    estimates: pl.DataFrame,
    config: Mapping[str, Any],
    study: Mapping[str, Any],
    models: Mapping[str, Any],
    vocabulary: findings.Vocabulary,
) -> Cast:
    roles = dict(config.get("roles") or study.get("roles") or {})
    reads = estimates.filter(pl.col("analysis").is_in(["readers", "agreement"]))
    estimates = estimates.filter(~pl.col("analysis").is_in(FROM_READS))
    standalone = estimates.filter(pl.col("analysis") == "standalone")
    raters = (standalone if standalone.height else estimates)["rater"].unique(maintain_order=True).to_list()
    # Members of an ensemble without predictions of its own are raters like any other.
    listed = {m for name, members in (config.get("members") or {}).items() if name in raters for m in members}
    members = tuple(r for r in raters if r in listed or r.partition("/seed-")[0] in set(raters) - {r})
    lead = [roles.get("pooled"), *(roles.get("single") or {}), roles.get("matched")]
    known = [r for r in raters if r not in members and r]
    ordered = [r for r in lead if r in known] + _by_auc(standalone, [r for r in known if r not in lead])
    seeds = {m for members in (config.get("members") or {}).values() for m in members}
    # Seeds without an ensemble lead only where there is no other model, and by name: none is the best by chance.
    ordered = [*(r for r in ordered if r not in seeds), *sorted((r for r in ordered if r in seeds), key=natural)]
    named = set((estimates if ordered else reads)["finding"].unique().to_list()) - {"", MEAN}
    own = {r: in_order(standalone.filter(pl.col("rater") == r)["population"]) for r in ordered}
    lead_own = own.get(ordered[0], ()) if ordered and ordered[0] == roles.get("pooled") else ()
    return Cast(
        raters=tuple(ordered),
        members=members,
        findings=vocabulary.ordered(named),
        populations=lead_own or in_order((standalone if standalone.height else estimates)["population"]),
        own={r: p for r, p in own.items() if p},
        roles=roles,
        trained=any(models.values()),
        readers=_readers(reads),
    )


def _readers(reads: pl.DataFrame) -> tuple[str, ...]:
    """The readers of the rows from reads, in the order of their names: "Reader 2" before "Reader 10"."""
    people = reads.filter(pl.col("arm") != "model")["rater"].unique().to_list()
    return tuple(sorted({p for p in people if p and not p.startswith("(")}, key=natural))


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts names with their numbers as numbers.

    >>> sorted(["Reader 10", "Reader 2"], key=natural)
    ['Reader 2', 'Reader 10']
    """
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def _by_auc(standalone: pl.DataFrame, raters: Sequence[str]) -> list[str]:
    """Models without a role in the order of their AUC at the first population, the highest first.

    The mean over findings counts, or else the first finding; models without a number come last.
    """
    rows = pick(standalone, metric="auc", at="").filter(pl.col("subgroup").is_in(["", "all"]))
    for population in in_order(rows["population"])[:1]:
        rows = pick(rows, population=population)
    means = pick(rows, finding=MEAN)
    first = by(means if means.height else rows, "rater")
    height = {r: number(first[(r,)]["estimate"]) if (r,) in first else nan for r in raters}
    return sorted(raters, key=lambda r: -height[r] if height[r] == height[r] else 1.0)


def in_order(populations: Iterable[str]) -> tuple[str, ...]:
    """Populations, each once: internal first, then the external ones by name.

    >>> in_order(["external:b", "internal", "external:a", "internal"])
    ('internal', 'external:a', 'external:b')
    """
    return tuple(sorted({p for p in populations if p}, key=lambda p: (p != "internal", p)))


def pick(frame: pl.DataFrame, **equals: str) -> pl.DataFrame:
    """The rows in which these columns have these values."""
    return frame.filter(*(pl.col(c) == v for c, v in equals.items())) if equals else frame


def overall(evidence: ReportData, analysis: str, metric: str) -> pl.DataFrame:
    """The rows of one metric that no subgroup restricts."""
    return pick(evidence.estimates, analysis=analysis, metric=metric, subgroup="all").vstack(
        pick(evidence.estimates, analysis=analysis, metric=metric, subgroup="")
    )


# Codes of lines of the account that say how something was read, and leave nothing out.
_READINGS = frozenset(
    {
        "boxes_are_calls",
        "case_is_own_patient",
        "columns_not_used",
        "labels_repeated",
        "not_listed_is_absent",
        "patients_of_column",
        "reader_is_file",
        "row_without_box",
        "rows_repeated",
        "scores_without_call",
    }
)


def left_out(evidence: ReportData) -> pl.DataFrame:
    """The lines of the account that leave something out; the others say how a file was read."""

    def reading(encoded: str | None) -> bool:
        found = codes.decode(encoded or "")
        kinds = {str(dict(c.parameters).get("kind", c.name)) for c in found}
        return bool(kinds & _READINGS)

    return evidence.account.filter([not reading(code) for code in evidence.account["reason_code"]])


def by(frame: pl.DataFrame, *keys: str) -> dict[tuple[str, ...], Row]:
    """The rows found by the values of these columns; of rows with equal values the first."""
    found: dict[tuple[str, ...], Row] = {}
    for row in frame.iter_rows(named=True):
        found.setdefault(tuple(row[k] for k in keys), row)
    return found


def population_title(evidence: ReportData, population: str) -> str:
    """How a population is headed: internal test, or the external site by name."""
    if population.startswith("external:"):
        return f"External: {population.partition(':')[2]}"
    if population == "internal":
        return "Internal test" if evidence.cast.trained or evidence.cast.external else "Test set"
    return population


# The analyses that carry the name of a hypothesis are also done where nobody stated it: a page names what they compare.
_ANALYSES = {"H1": "pooled and single-institution training", "H2": "choice of reference standard"}


def column_words(value: str) -> str:
    """A value of the columns analysis and metric, in words.

    >>> column_words("net_benefit_difference"), column_words("auc_drop"), column_words("H2")
    ('net benefit difference', 'AUC drop', 'choice of reference standard')
    """
    if value in _ANALYSES:
        return _ANALYSES[value]
    return value.replace("_", " ").replace("auc", "AUC")


def finding_heading(name: str, vocabulary: findings.Vocabulary) -> str:
    """How a finding is headed; the mean over findings says that it is one."""
    return "Mean over findings" if name == MEAN else vocabulary.title(name)


def plain_words(note: str, vocabulary: findings.Vocabulary) -> str:
    """A note with findings as a reader says them.

    >>> plain_words("mean over 2 findings: pleural_effusion, mass", findings.load("chest"))
    'mean over 2 findings: pleural effusion, mass'
    """
    for name in (name for name in vocabulary.names() if "_" in name):
        note = re.sub(rf"\b{name}\b", name.replace("_", " "), note)
    return note


def at_values(at: str) -> dict[str, str]:
    """The parts of an `at`: the one parser of this column, whose form is `KEY=VALUE;KEY=VALUE`.

    >>> at_values("operating_point=spec90;test=u-statistic"), at_values("")
    ({'operating_point': 'spec90', 'test': 'u-statistic'}, {})
    """
    return {key: value for key, _, value in (part.partition("=") for part in at.split(";") if part)}


def value_at(at: str, key: str) -> str:
    """The value of a key of an `at`, "" where it has none."""
    return at_values(at).get(key, "")


def contrast_of(contrast: str, column: str) -> str:
    """What is subtracted in a contrast of this column, "" in contrasts of others; the form is `COLUMN:VALUE`.

    >>> contrast_of("arm:unaided", "arm"), contrast_of("arm:unaided", "rater")
    ('unaided', '')
    """
    kind, _, value = contrast.partition(":")
    return value if kind == column else ""


def in_page_order(evidence: ReportData, rows: pl.DataFrame, baseline: str = "") -> pl.DataFrame:
    """Differences between models with one sign: a model of the page minus one that comes after it, or the baseline.

    Only the sign changes: estimate and limits are those of the other direction.
    """
    place = {r: i for i, r in enumerate(evidence.cast.raters)} | {baseline: len(evidence.cast.raters)}
    made = []
    for row in rows.to_dicts():
        other = contrast_of(row["contrast"], "rater")
        if place.get(row["rater"], -1) > place.get(other, len(place)):
            sides = {"estimate": -row["estimate"], "low": -row["high"], "high": -row["low"]}
            row |= sides | {"rater": other, "contrast": f"rater:{row['rater']}"}
        made.append(row)
    return pl.DataFrame(made, schema=rows.schema) if made else rows


def with_contrast(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """The rows whose contrast is of this column."""
    return rows.filter(pl.col("contrast").is_in([c for c in rows["contrast"].unique() if contrast_of(c, column)]))


def with_key(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    """The rows whose `at` has this key."""
    return rows.filter(pl.col("at").is_in([at for at in rows["at"].unique() if key in at_values(at)]))


def at_title(at: str) -> str:
    """The title of an `at`.

    >>> at_title("operating_point=spec90"), at_title("specificity=0.95")
    ('threshold for specificity 0.90', 'specificity 0.95')
    """
    kind, value = next(iter(at_values(at).items()), (at, ""))
    if kind != "operating_point":
        return f"{kind} {value}" if value else at
    rate, target = operating_point(value)
    if not rate:
        return f"threshold “{value}”"
    return f"threshold for {rate} {max(f'{target:.2f}', f'{target:g}', key=len)}"


def operating_point(name: str) -> tuple[str, float]:
    """The rate that fixes an operating point and its target; ("", NaN) for a name that states none.

    >>> operating_point("spec97.5"), operating_point("rule-out")[0]
    (('specificity', 0.975), '')
    """
    found = _POINT.fullmatch(name)
    return (_RATES[found[1]], float(found[2]) / 100) if found else ("", nan)


_POINT = re.compile(r"(spec|sens)(\d+(?:\.\d+)?)")
_RATES = {"spec": "specificity", "sens": "sensitivity"}


def points_in_order(ats: Iterable[str]) -> list[str]:
    """Operating points, each once, those of a specificity first.

    >>> points_in_order(["operating_point=sens90", "operating_point=spec95", "operating_point=spec90"])
    ['operating_point=spec90', 'operating_point=spec95', 'operating_point=sens90']
    """
    return sorted(set(ats), key=lambda at: (operating_point(value_at(at, "operating_point"))[0] == "sensitivity", at))
