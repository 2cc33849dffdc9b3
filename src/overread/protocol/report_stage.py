"""The report of an evaluation."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from types import MappingProxyType
from typing import Any

from overread import runs, tables
from overread.codes import Analysis
from overread.errors import InputError
from overread.reporting.figures.figure_pool import drawing_pool
from overread.reporting.report_folder import check_report_folder
from overread.tables import records
from overread.tables.records.kinds import ModelRecord


def report(
    evaluation: Path | str,
    out: Path | str,
    *,
    title: str = "",
    cohort: Path | str | None = None,
    heatmaps: Mapping[str, Path | str] | None = None,
    models: Sequence[Path | str] = (),
    statements: Path | str | None = None,
    workers: int = 1,
) -> Path:
    """Write the report of an evaluation as HTML.

    Parameters
    ----------
    evaluation : path
        The folder of the evaluation.
    out : path
        The folder of the report.
    title : str
        The title of the report; "" = "Evaluation of predictions", "Evaluation of models and readers", or "Evaluation
        of readers".
    cohort : path, optional
        The folder of the cohort, for the flow of images and the table of characteristics.
    heatmaps : mapping of str to path, optional
        Folders of predictions with heat maps, by model.
    models : path or sequence of paths
        Folders of the models.
    statements : path, optional
        A TOML file with the authors' statements for the reporting checklists.
    workers : int
        Processes that draw figures; 1 = this process. In a script, more than one require that the call is under
        `if __name__ == "__main__":`.

    Returns
    -------
    Path
        The report, `out / "report.html"`.

    Raises
    ------
    InputError
        A folder that was changed after it was written, or `out` with files that would be replaced.

    Examples
    --------
    .. code-block:: python

        import overread as ov
        ov.report("evidence", "report")
    """
    with drawing_pool(workers) as pool:
        return write_report(
            Path(evaluation),
            Path(out),
            title=title,
            cohort=None if cohort is None else Path(cohort),
            heatmaps={name: Path(folder) for name, folder in (heatmaps or {}).items()},
            models=[Path(m) for m in ([models] if isinstance(models, str | os.PathLike) else models)],
            statements=None if statements is None else Path(statements),
            pool=pool,
        )


def write_report(
    evaluation: Path,
    out: Path,
    *,
    title: str,
    cohort: Path | None = None,
    heatmaps: Mapping[str, Path] = MappingProxyType({}),
    models: Sequence[Path] = (),
    statements: Path | None = None,
    pool: Executor | None,
) -> Path:
    """Write the report as `report` does; its figures are drawn by the processes of `pool`, or by this one if None."""
    from overread import reporting  # plots: not loaded where only a protocol is read

    check_report_folder(out)
    found = {name: runs.check(folder) for name, folder in (("evaluate", evaluation), ("cohort", cohort)) if folder}
    for folder in heatmaps.values():
        runs.check(folder)
    model_records = [_model(m / "model.json") for m in models]
    study = {
        "title": title or _untitled(evaluation),
        "protocol": {"evaluation": found["evaluate"].get("config") or {}},
        "models": {m["name"]: m for m in model_records},
        "runs": found,
        "statements": _stated(statements) if statements else {},
    }
    book = evaluation / "ledger.jsonl"
    with tables.holding(out, "report"):
        return reporting.write(
            evaluation,
            out,
            study=study,
            cohort_folder=cohort,
            heatmap_folders=dict(heatmaps),
            ledger=book if book.is_file() else None,
            models={m["name"]: f for m, f in zip(model_records, models, strict=True)},
            pool=pool,
        )


def _untitled(evaluation: Path) -> str:
    """Return the title of a report that was given none: what was evaluated."""
    file = evaluation / "estimates.parquet"
    analyses = set(tables.frame_of(file)["analysis"]) if file.is_file() else set()
    of_readers = {Analysis.READERS, Analysis.AGREEMENT}
    if analyses and analyses <= of_readers:
        return "Evaluation of readers"
    return "Evaluation of models and readers" if analyses & of_readers else "Evaluation of predictions"


def _model(path: Path) -> Any:
    """Read a model.json, which must have at least a name."""
    record = runs.read_sealed(path, ModelRecord)
    if "name" not in record:
        raise InputError(path, "a key 'name'", f"keys {', '.join(record) or '(none)'}")
    return record


def _stated(path: Path) -> dict[str, Any]:
    """Read the authors' statements for the checklists from a TOML file."""
    statements: dict[str, str] = records.typed(
        records.read_toml(path, "a TOML file of statements"), dict[str, str], path
    )
    return statements
