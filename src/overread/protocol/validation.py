"""Validation of tables, protocols and configurations before they are used (`overread check`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from overread import credentials, findings, tables
from overread.cohort import CohortConfig
from overread.cohort.reader_samples import SampleConfig
from overread.errors import InputError, did_you_mean
from overread.evaluation import EvaluationConfig
from overread.evaluation.join import layouts, read_layouts
from overread.evaluation.join.column_names import finding_of, finding_words, renamed
from overread.evaluation.join.label_states import spelt, state
from overread.images.deidentification import Deidentification
from overread.protocol.input_tables import check_sites, configured
from overread.protocol.schema import load
from overread.tables.records.configuration import parse_section
from overread.tables.records.typed_files import read_toml
from overread.training.training_config import TrainingConfig

# The sections that a command's --config may hold. What [options] may hold depends on the reader that they are for.
SECTIONS: dict[str, Any] = {
    "cohort": CohortConfig,
    "deidentification": Deidentification,
    "sample": SampleConfig,
    "training": TrainingConfig,
    "evaluation": EvaluationConfig,
    "options": dict,
}
FINDINGS = "findings"  # the section that the others are read by
_READERS: dict[str, Callable[..., layouts.Read]] = {
    "labels": layouts.labels,
    "predictions": layouts.predictions,
    "case_predictions": layouts.predictions,
    "reads": read_layouts.reads,
}


def check(
    file: Path | str,
    table: str = "",
    *,
    config: EvaluationConfig | None = None,
    extra_findings: str | Path | Sequence[str | Path] = (),
    **settings: Any,
) -> list[str]:
    """Validate a table, a protocol or a configuration exactly as the commands read it.

    Parameters
    ----------
    file : path
        A CSV or Parquet file, in long or wide layout, or a TOML file.
    table : str
        The table; "" = determined by the name of the file, or else by its columns. A file may hold several tables.
    config : EvaluationConfig, optional
        The configuration with which `evaluate` will read the table: its spellings, and the sites that it names.
    extra_findings : text, path, or sequence of them
        Findings of the study's own behind those of the vocabulary, as in `evaluate`.
    **settings
        Fields of EvaluationConfig that replace those of `config`, such as subgroups=("sex",).

    Returns
    -------
    list of str
        Number of rows, dialect of the text, meaning of each column, and unused columns.

    Raises
    ------
    InputError
        All problems of the file, in one error.

    Examples
    --------
    .. code-block:: python

        import overread as ov
        ov.check("labels.csv")
    """
    file = Path(file)
    if file.suffix == ".toml":
        if config is not None or settings or extra_findings:
            do = "Leave --config and --extra-findings out; a TOML file states findings in [findings.extra]."
            raise InputError(file, "a table to be read with --config or --extra-findings", "a TOML file", do=do)
        return _check_toml(file)
    chosen = configured(config, settings, extra_findings, "check")
    names = [table] if table else _tables_of(file, chosen)
    read = {name: _read(file, name, chosen) for name in names}
    used = {column for r in read.values() for column in r.columns}
    return [line for name, r in read.items() for line in _found(file, name, r, used)]


def _read(file: Path, name: str, config: EvaluationConfig) -> layouts.Read:
    """Read the table as the commands do."""
    tables.schema(name)
    if name == "regions":
        return layouts.regions(file, vocabulary=config.vocabulary)
    if name not in (*_READERS, "images"):
        loaded = tables.load(file)
        changed: list[tables.Note] = []
        frame = tables.check(loaded.frame, name, where=file, notes=changed, vocabulary=config.vocabulary)
        own = tables.schema(name).columns()
        unused = tuple(c for c in loaded.frame.columns if c not in own)
        return layouts.Read(frame, unused, {}, loaded.dialect, notes=tuple(changed))
    if name != "images":
        return _READERS[name](file, spellings=config.spellings, vocabulary=config.vocabulary)
    read = layouts.images(file, spellings=config.spellings)
    check_sites(read.frame, config, file)
    return replace(read, unused=tuple(c for c in read.unused if c not in config.subgroups))


def _found(file: Path, name: str, read: layouts.Read, used: set[str]) -> list[str]:
    """Describe a table in lines; `used` are the columns that some table of the file uses."""
    lines = [f"{file}: a table of {name}, {read.frame.height:,} rows, no problem found"]
    lines += [f"  text: {'; '.join(read.dialect)}"] if read.dialect else []
    lines += [f"  column '{column}': {meaning}" for column, meaning in read.columns.items()]
    like = dict.fromkeys(read.findings_like, ", although it looks like a finding: state it with --extra-findings")
    lines += [f"  column '{column}': not used{like.get(column, '')}" for column in read.unused if column not in used]
    dropped = [(tables.counted(d.count, d.unit), d.reason, d.examples) for d in read.dropped]
    lines += [f"  {n}: {reason}" + (f" ({examples})" if examples else "") for n, reason, examples in dropped]
    lines += [f"  {note}" for note in read.notes]
    if "source_note" in read.frame.columns:
        notes = read.frame["source_note"].drop_nulls().value_counts(sort=True)
        lines += [f"  {count:,} images: {note}" for note, count in notes.head(5).iter_rows()]
    return lines


def _tables_of(file: Path, config: EvaluationConfig) -> list[str]:
    """Determine the tables of a file by its name, or else by its columns; patients with findings are two tables."""
    stem = file.name.split(".")[0].casefold()
    if stem in tables.SCHEMAS:
        return [stem]
    spellings = config.spellings
    frame, words = tables.frame_of(file), finding_words(config.vocabulary, spellings.get("finding"))
    columns = frame.columns
    named = set(renamed(columns, ("reader", "finding", "state", "score", "patient_id"), file).values())
    if "reader" in named:
        return ["reads"]
    if {"finding", "state"} <= named:
        return ["labels"]
    if {"finding", "score"} <= named:
        return ["predictions"]
    found = ["images"] if "patient_id" in named else []
    scores = [c for c in columns if finding_of(c, "predictions", words)]
    stated = [c for c in columns if finding_of(c, "labels", words)]
    said = frame.with_columns(spelt(c, spellings.get("state")).alias(c) for c in stated)
    if stated and all(said.select(state(c).is_not_null().any() | said[c].is_null().all()).item() for c in stated):
        found.append("labels")
    elif scores:
        found.append("predictions")
    if found:
        return found
    do = f"Say which it is, such as --table labels; or name a column for what it holds. Columns: {', '.join(columns)}."
    raise InputError(file, "a file named after its table, or columns that identify the table", f"'{stem}'", do=do)


def _check_toml(file: Path) -> list[str]:
    stated = read_toml(file)
    if {"study", "sources", "sites", "models"} & set(stated) or not stated:
        protocol = load(file)
        said = [f"{file}: the protocol is valid, hash {protocol.hash[:12]}"]
        return said + [f"  warning: {warning}" for warning in protocol.warnings()]
    if secrets := credentials.problems(stated, str(file)):
        raise InputError.all(secrets)
    named = isinstance(stated.get(FINDINGS), dict)  # a list is the key of a section that stands alone
    vocabulary = findings.stated(stated[FINDINGS] if named else {}, f"{file} [{FINDINGS}]", folder=file.parent)
    rest = {key: value for key, value in stated.items() if key != FINDINGS or not named}
    given = {name: rest[name] for name in SECTIONS if name in rest}
    if rest and not given:
        given = {_section_of(rest): rest}
    problems = []
    for name, values in given.items():
        try:
            if name != "options":
                parse_section(SECTIONS[name], values, f"{file} [{name}]", vocabulary=vocabulary)
        except InputError as error:
            problems.append(error)
    strange = [k for k in rest if k not in SECTIONS and rest not in given.values()]
    if strange:
        expected = "sections " + ", ".join(f"[{s}]" for s in (*SECTIONS, FINDINGS))
        problems.append(InputError(file, expected, "others", examples=strange))
    if problems:
        raise InputError.all(problems)
    held = [*given, *([FINDINGS] if named else [])]
    said = [f"{file}: a configuration, section{'s' * (len(held) > 1)} {', '.join(held)}, no problem found"]
    return said + (["  [options] is checked by the reader that it is for"] if "options" in given else [])


def _section_of(stated: dict[str, Any]) -> str:
    """Return the section with most of the keys at the top of a file."""
    known = {name: set(kind.__dataclass_fields__) for name, kind in SECTIONS.items() if name != "options"}
    near = {name: sum(bool(did_you_mean(k, keys)) for k in stated) for name, keys in known.items()}
    return max(known, key=lambda name: (len(known[name] & set(stated)), near[name]))
