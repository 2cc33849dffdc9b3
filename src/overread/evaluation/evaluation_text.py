"""Summary of an evaluation as text, and as HTML in a notebook."""

from __future__ import annotations

from html import escape

import polars as pl

from overread import codes
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.evaluation.evidence import Evidence
from overread.evaluation.join.account import NOT_EVALUATED
from overread.stats.estimate import Estimate

_ROWS = 30  # AUCs shown; the others are counted


def as_text(evidence: Evidence, config: EvaluationConfig) -> str:
    """What was evaluated, and the AUC of every rater, finding and population with its interval."""
    rows = _auc_rows(evidence)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    table = ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*_head(evidence, config), "", *table, *_rest(evidence)])


def as_html(evidence: Evidence, config: EvaluationConfig) -> str:
    """The same as HTML: a line of text and a table."""
    head, *body = _auc_rows(evidence)
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
    text = "".join(f"<p>{escape(line)}</p>" for line in _head(evidence, config))
    rest = "".join(f"<p>{escape(line)}</p>" for line in _rest(evidence) if line)
    return f"<div>{text}<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>{rest}</div>"


def _head(evidence: Evidence, config: EvaluationConfig) -> list[str]:
    joined, own = evidence.joined, _aucs(evidence)
    raters = own["rater"].unique(maintain_order=True)
    return [
        f"Evaluation of {joined['case_id'].n_unique():,} cases of {joined['patient_id'].n_unique():,} patients",
        f"Raters: {', '.join(raters)}",
        f"Populations: {_populations(evidence, own['population'].unique(maintain_order=True).to_list())}",
        f"Findings: {joined['finding'].n_unique():,}; {evidence.estimates.height:,} estimates",
        f"Intervals: {config.confidence * 100:g}%; {config.replicates:,} resamples of the patients, seed {config.seed}",
    ]


def _populations(evidence: Evidence, names: list[str]) -> str:
    """The populations; of raters without recorded training sites, that this cannot be told or was only declared."""
    if not evidence.undocumented:
        return ", ".join(names)
    unknown = f"training sites of {', '.join(evidence.undocumented)} not recorded"
    if any(name.startswith("external:") for name in names):
        return f"{', '.join(names)} (as declared; {unknown})"
    return f"one test set, “internal” in the tables; whether it is internal or external is not known ({unknown})"


def _aucs(evidence: Evidence) -> pl.DataFrame:
    """The AUCs of whole populations: no subgroup, no difference."""
    whole = pl.col("subgroup").is_in(["", "all"]) & (pl.col("contrast") == "") & (pl.col("metric") == "auc")
    own = evidence.estimates.filter(whole & (pl.col("analysis") == "standalone"))
    return own.sort(pl.col("finding") != "(mean)", "finding", "rater", "population", maintain_order=True)


def _auc_rows(evidence: Evidence) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("Finding", "Rater", "Population", "Present", "Cases", "AUC (interval)")]
    for row in _aucs(evidence).head(_ROWS).iter_rows(named=True):
        value = Estimate(row["estimate"], row["low"], row["high"], note=row["note"], confidence=row["confidence"])
        counts = ("" if row[c] is None else f"{row[c]:,}" for c in ("n_present", "n_cases"))
        rows.append((row["finding"], row["rater"], row["population"], *counts, str(value)))
    return rows


def _not_evaluated(evidence: Evidence) -> list[str]:
    """Why scored findings have no estimate, from the account."""
    rows = evidence.account.select("reason", "reason_code").rows()
    return [reason for reason, text in rows if any(code.name in NOT_EVALUATED for code in codes.decode(text or ""))]


def _rest(evidence: Evidence) -> list[str]:
    more = _aucs(evidence).height - _ROWS
    lines = [f"and {more:,} more AUCs in .estimates"] if more > 0 else []
    lines += [f"Findings {reason}" for reason in _not_evaluated(evidence)]
    return ["", *lines, *(f"Note: {note}" for note in evidence.notes)]
