"""The report of an evaluation's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from overread import runs, tables
from overread.errors import InputError
from overread.reporting.report_folder import check_report_folder
from overread.tables import records
from overread.tables.records.kinds import ModelRecord


def report(
    evaluation: Path | str,
    out: Path | str,
    *,
    title: str = "Evaluation of predictions",
    cohort: Path | None = None,
    heatmaps: Mapping[str, Path] | None = None,
    models: Sequence[Path] = (),
    statements: Path | None = None,
    pool: Executor | None = None,
) -> Path:
    """The report of an evaluation's folder, with what else is at hand: cohort, heat maps, models, statements (TOML).

    `pool` is that of `report.drawing_pool`, processes that draw figures beside this one.
    """
    from overread import reporting  # plots: not loaded where only a protocol is read

    evaluation, out = Path(evaluation), Path(out)
    check_report_folder(out)
    found = {name: runs.check(folder) for name, folder in (("evaluate", evaluation), ("cohort", cohort)) if folder}
    for folder in (heatmaps or {}).values():
        runs.check(folder)
    stated = [_model(m / "model.json") for m in models]
    said = {
        "title": title,
        "protocol": {"evaluation": found["evaluate"].get("config") or {}},
        "models": {m["name"]: m for m in stated},
        "runs": found,
        "statements": _stated(statements) if statements else {},
    }
    book = evaluation / "ledger.jsonl"
    with tables.holding(out, "report"):
        return reporting.write(
            evaluation,
            out,
            study=said,
            cohort_folder=cohort,
            heatmap_folders=dict(heatmaps or {}),
            ledger=book if book.is_file() else None,
            models={m["name"]: f for m, f in zip(stated, models, strict=True)},
            pool=pool,
        )


def _model(path: Path) -> Any:
    """A model.json that gives at least the model's name."""
    record = runs.read_sealed(path, ModelRecord)
    if "name" not in record:
        raise InputError(path, "a key 'name'", f"keys {', '.join(record) or '(none)'}")
    return record


def _stated(path: Path) -> dict[str, Any]:
    """What the authors state for the checklists: a TOML file of topics and texts."""
    stated: dict[str, str] = records.typed(records.read_toml(path, "a TOML file of statements"), dict[str, str], path)
    return stated
