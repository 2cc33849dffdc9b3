"""Why a section is not shown, from the models, the populations, the account and the codes of the estimates.

That a table has no rows is not a reason: each function looks for the cause, and without a known one says only that
nothing was estimated.
"""

from __future__ import annotations

import polars as pl

from overread import codes
from overread.reporting.number_format import listed, plural
from overread.reporting.report_data import MEAN, ReportData


def comparison(evidence: ReportData) -> str:
    """Why no models were compared."""
    raters = evidence.cast.raters
    if len(raters) < 2:
        return "one model only" if raters else "no model was evaluated"
    rows = evidence.estimates.filter(pl.col("analysis") == "standalone", pl.col("finding") != MEAN)
    scored = [set(rows.filter(pl.col("rater") == rater)["finding"]) for rater in raters]
    if sum(map(len, scored)) == len(set().union(*scored)):
        return "no finding is scored by two models"
    return "no difference between models was estimated"


def drop(evidence: ReportData) -> str:
    """Why there is no difference between the internal and an external test set."""
    tested = [set(evidence.cast.populations_of(rater)) for rater in evidence.cast.raters]
    found = set().union(*tested)
    if not any(p.startswith("external:") for p in found):
        return "no external site"
    if "internal" not in found:
        return "no internal test set: all test sites are external"
    if not any("internal" in own and len(own) > 1 for own in tested):
        return "no model has both an internal and an external test set"
    return "no internal-to-external drop was estimated"


def site_alone(evidence: ReportData) -> str:
    """Why there is no site-only baseline."""
    if any(record.get("prevalence") for record in evidence.models.values()):
        return "the site-only baseline was not evaluated"
    return "no record of a model states the prevalence at its training sites"


def decision(rows: pl.DataFrame) -> str:
    """Why no net benefit could be estimated, by the notes of its rows."""
    return missing_reasons(rows) or "no net benefit was estimated"


def policies(evidence: ReportData) -> str:
    """Why there is no other way of handling uncertain labels, and no other label source."""
    lines = [
        (code, row["count"])
        for row in evidence.account.iter_rows(named=True)
        for code in codes.decode(row["reason_code"] or "")
    ]
    uncertain = sum(n for code, n in lines if code.name in ("uncertain_excluded", "uncertain_recoded"))
    sources = sorted({str(code["source"]) for code, _ in lines if code.name == "source_not_reference"})
    labels = (
        f"{plural(uncertain, 'uncertain label')}, but none of a scored case and of a finding with other labels"
        if uncertain
        else "no label of an evaluated case is uncertain"
    )
    quoted = listed([f"“{source}”" for source in sources])
    others = (
        f"labels of {quoted} were not compared with the reference standard"
        if sources
        else "no label source other than the reference standard was supplied"
    )
    return f"{labels}; {others}"


def missing_reasons(rows: pl.DataFrame) -> str:
    """The reasons of missing estimates, each once, from the first code of their notes; "" where none is given."""
    found: dict[str, list[codes.Code]] = {}
    for text in rows.filter(~pl.col("estimate").is_finite())["note_codes"].drop_nulls():
        for code in codes.decode(text)[:1]:
            found.setdefault(code.name, []).append(code)
    return "; ".join(codes.pattern("notes", same).removeprefix("NE: ") for same in found.values())
