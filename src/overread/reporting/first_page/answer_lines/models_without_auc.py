"""The models beside those with an AUC that have none: what they have instead, and why they are not ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from overread.reporting.blocks import Table
from overread.reporting.estimate_cells import known
from overread.reporting.first_page.decision_question import DecisionRows, decision_rows, decisions_table
from overread.reporting.first_page.first_page_parts import place, spelled
from overread.reporting.first_page.mean_aucs import ModelMeans
from overread.reporting.number_format import listed
from overread.reporting.report_data import ReportData
from overread.reporting.seed_rows import section_raters

_RATES = ("sensitivity", "specificity")
_SPELLED = 2  # models of which each has its rates in a sentence


def without_auc(means: ModelMeans, populations: Sequence[str]) -> list[str]:
    """The models of the page that have no number of the headline at any population."""
    return [r for r in section_raters(means.evidence) if not any(known(means.whole(r, p)) for p in populations)]


def decisions_beside(evidence: ReportData, models: Sequence[str]) -> Table | None:
    """Both rates of the models that gave decisions without scores; None where there are none."""
    rows = decision_rows(evidence)
    decided = [r for r in rows.raters if r in models]
    if not decided:
        return None
    kept = {key: row for key, row in rows.rates.items() if key[1] in decided}
    return replace(decisions_table(replace(rows, rates=kept)), caption="Decisions without scores")


def apart_line(means: ModelMeans, models: Sequence[str], *, several: bool) -> str:
    """Why these models are not ranked, and the rates of those that gave decisions; `several` populations are named."""
    rows = decision_rows(means.evidence)
    decided = [r for r in rows.raters if r in models]
    others = [r for r in models if r not in decided]
    said = []
    if decided:
        have = "has" if len(decided) == 1 else "have"
        rates = _rates(rows, decided, several=several)
        said.append(f"{listed(decided)} gave decisions without scores and {have} no AUC{rates}.")
    if others:
        have = "has" if len(others) == 1 else "have"
        said.append(f"{listed(others)} {have} no {means.name()} that could be computed.")
    return " ".join(said)


def _rates(rows: DecisionRows, models: Sequence[str], *, several: bool) -> str:
    """Both rates of one or two models; of more they are in the table only."""
    if len(models) > _SPELLED:
        return "; their rates are in the second table"
    said = []
    for k, rater in enumerate(models):
        where = next((p for p in rows.populations if known(rows.whole(_RATES[0], rater, p))), rows.lead)
        both = [rows.whole(m, rater, where) for m in _RATES]
        values = [spelled(row, level=k == i == 0) for i, row in enumerate(both)]
        who = f" of {rater}" if len(models) > 1 else ""
        at = f" {place(where)}" if several else ""
        said.append(f"the {rows.named(_RATES[0], both[0])}{who} is {values[0]} and the specificity {values[1]}{at}")
    return f": {'; '.join(said)}"
