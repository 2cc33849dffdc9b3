"""The first page of reads without a stated reference standard: how far the readers agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from overread import codes
from overread.reporting.blocks import Cell, Figure, Table, group, heads, table
from overread.reporting.estimate_cells import codes_of, known
from overread.reporting.figures.drawing_style import series_style
from overread.reporting.figures.forest_drawing import ForestPlot, ForestRow, Panel, Scale
from overread.reporting.figures.forest_plots import mark_of, panel_figure
from overread.reporting.first_page.first_page_parts import (
    MARK_TERM,
    FirstPage,
    first_rows,
    interval_term,
    leading_findings,
    number_cell,
    spelled,
)
from overread.reporting.number_format import capital, count, fixed, interval, listed, number, plural
from overread.reporting.report_data import ReportData, Row, at_values, value_at
from overread.reporting.sections.reader_results.arm_pairs import arm_words
from overread.reporting.sections.reader_results.reader_titles import (
    DAWID_SKENE,
    MAJORITY,
    OTHERS,
    READERS,
    arm_title,
    with_calls,
)
from overread.reporting.sections.reader_results.uncertain_calls import handling_of_calls

_DERIVED = (MAJORITY, OTHERS, DAWID_SKENE)


@dataclass(frozen=True, slots=True)
class AgreementMeasure:
    """A measure of agreement: metric, `at`, its heading, and its name in a sentence."""

    metric: str
    at: str
    title: str
    name: str


_CASES = "Cases: with two or more reads."
_MOST_LOST = 3  # places without a value that are named one by one
_EQUAL_CALLS = AgreementMeasure("percent_agreement", "", "Percent agreement", "percent agreement")
_CALLS = (
    AgreementMeasure("fleiss_kappa", "", "Fleiss κ", "Fleiss κ"),
    AgreementMeasure("krippendorff_alpha", "", "Krippendorff α", "Krippendorff α"),
    AgreementMeasure("gwet_ac1", "", "Gwet AC1", "Gwet AC1"),
)
_EQUAL_GRADES = AgreementMeasure("percent_agreement", "grades=equal", "Equal grades", "the proportion of equal grades")
_GRADES = (
    AgreementMeasure("fleiss_kappa", "weights=quadratic", "Fleiss κ, quadratic", "quadratically weighted Fleiss κ"),
    AgreementMeasure("krippendorff_alpha", "level=ordinal", "Krippendorff α, ordinal", "ordinal Krippendorff α"),
    AgreementMeasure("gwet_ac1", "weights=quadratic", "Gwet AC2, quadratic", "quadratically weighted Gwet AC2"),
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The rows of agreement among readers in one arm, by finding, metric and `at`; blocks of readers by number."""

    evidence: ReportData
    arm: str
    rows: dict[tuple[str, str, str], Row]
    blocks: dict[str, dict[tuple[str, str, str], Row]]
    pairs: int

    @property
    def graded(self) -> bool:
        """Whether the readers gave grades: these hold more than the calls made from them."""
        return any(known(self.rows.get((f, m.metric, m.at))) for f in self.findings for m in _GRADES)

    @property
    def equal(self) -> AgreementMeasure:
        """The measure without correction for chance."""
        return _EQUAL_GRADES if self.graded else _EQUAL_CALLS

    @property
    def measures(self) -> tuple[AgreementMeasure, ...]:
        """The measures with correction for chance."""
        return _GRADES if self.graded else _CALLS

    @property
    def findings(self) -> tuple[str, ...]:
        """The findings in the order of the page."""
        return self.evidence.vocabulary.ordered({f for f, _, _ in self.rows})

    @property
    def leading(self) -> AgreementMeasure:
        """Fleiss' kappa, or the first other measure where it could not be computed for any leading finding."""
        found = leading_findings(self.evidence, self.findings)
        return next((m for m in self.measures if any(known(self.row(f, m)) for f in found)), self.measures[0])

    def row(self, finding: str, measure: AgreementMeasure) -> Row | None:
        """The row of a finding."""
        return self.rows.get((finding, measure.metric, measure.at))

    def most(self, column: str) -> int:
        """The largest count of a column."""
        return max((int(r[column]) for r in self.rows.values() if r.get(column) is not None), default=0)

    def most_of(self, measure: AgreementMeasure, column: str) -> int:
        """The largest count of a column for one measure: others also count cases with a single read."""
        rows = (self.row(f, measure) for f in self.findings)
        own = [int(r[column]) for r in rows if r is not None and r.get(column) is not None]
        return max(own, default=self.most(column))

    def by_height(self) -> list[str]:
        """The leading findings by the leading measure, the lowest first, then the other findings."""
        own = leading_findings(self.evidence, self.findings)

        def place(finding: str) -> tuple[bool, bool, float]:
            row = self.row(finding, self.leading)
            return finding not in own, not known(row), number(row["estimate"]) if known(row) else 0.0

        return sorted(self.findings, key=place)


def unstated(evidence: ReportData) -> bool:
    """Whether there are reads alone and no reference standard but those that are derived from these reads."""
    rows = evidence.estimates.filter(pl.col("analysis") == "readers")
    stated = set(rows["reference"].unique().to_list()) - {*_DERIVED, ""}
    return not evidence.cast.raters and not stated and bool(agreements(evidence))


def agreement_of_arms(evidence: ReportData) -> list[str]:
    """The agreement in each arm in a sentence, where no reference standard was supplied and several arms have one."""
    every = agreements(evidence) if unstated(evidence) else []
    if len(every) < 2:
        return []
    finding = leading_findings(evidence, every[0].findings)[0]
    several = len({f for own in every for f in own.findings}) > 1
    shares = [f"{percent(own.row(finding, own.equal))} {arm_words(own.arm)}" for own in every]
    what, of = every[0].equal.name, f" for {_heading(every[0], finding)}" if several else ""
    return [f"No reference standard was supplied. {capital(what)} of the readers{of}: {listed(shares)}."]


def agreements(evidence: ReportData) -> list[Agreement]:
    """The agreement among readers in every arm, that of the unaided readers first."""
    frame = with_calls(evidence.estimates.filter(pl.col("analysis") == "agreement"))
    policy = str(evidence.config.get("uncertain_calls") or "")
    policies = sorted(set(frame["call"].to_list()) - {""})
    policy = policy if policy in policies else next(iter(policies), "")
    frame = frame.filter(pl.col("call").is_in([policy, ""]))
    made = []
    for arm in sorted(frame["level"].unique().to_list(), key=lambda a: (a != "unaided", a)):
        rows: dict[tuple[str, str, str], Row] = {}
        blocks: dict[str, dict[tuple[str, str, str], Row]] = {}
        pairs = set()
        for row in frame.filter(pl.col("level") == arm).iter_rows(named=True):
            if row["rater"] != READERS:
                other = value_at(row["at"], "reader")
                pairs |= {tuple(sorted((row["rater"], other)))} if other else set()
                continue
            block = value_at(row["at"], "block")
            at = ";".join(f"{k}={v}" for k, v in at_values(row["at"]).items() if k != "block")
            (blocks.setdefault(block, {}) if block else rows)[row["finding"], row["metric"], at] = row
        if any(known(row) for row in rows.values()):
            made.append(Agreement(evidence, arm, rows, dict(sorted(blocks.items())), len(pairs)))
    return made


def agreement_page(evidence: ReportData) -> FirstPage:
    """The page of agreement among readers."""
    every = agreements(evidence)
    first = every[0]
    return FirstPage(
        "Evidence report: readers",
        str(evidence.study.get("question") or "").strip() or "How far do the readers agree?",
        _answer(every),
        _more(first),
        _facts(first),
        _figure(first),
        _table(every),
        _detail(first),
        (*_terms(first), interval_term(evidence.confidence), MARK_TERM),
    )


def percent(row: Row | None, *, level: bool = True) -> str:
    """A proportion with its interval in per cent.

    >>> percent({"estimate": 0.92, "low": 0.8956, "high": 0.9444, "confidence": 0.95})
    '92.0% (95% interval 89.6% to 94.4%)'
    """
    if not known(row):
        return "not computed"
    value, low, high = (number(row[k]) for k in ("estimate", "low", "high"))
    if low != low or high != high:
        return f"{100 * value:.1f}% (no interval)"
    named = f"{100 * number(row.get('confidence') or 0.95):g}% interval " if level else ""
    return f"{100 * value:.1f}% ({named}{100 * low:.1f}% to {100 * high:.1f}%)"


def _answer(every: Sequence[Agreement]) -> str:
    """The agreement in the first arm, which is named where there are several; of one finding also in the others."""
    own, others = every[0], every[1:]
    findings = leading_findings(own.evidence, own.findings)
    arm = f" {arm_words(own.arm)}" if others else ""
    n = f"{plural(own.most('n_readers'), 'reader')}{arm}"
    kappas = [(f, r) for f in findings if known(r := own.row(f, own.leading))]
    shares = [(f, r) for f in findings if known(r := own.row(f, own.equal))]
    what, name = own.equal.name, own.leading.name
    if len(findings) == 1 or (len(kappas) == 1 and len(shares) <= 1):
        finding = kappas[0][0] if kappas else findings[0]
        pairs = [(each.row(finding, own.equal), each.row(finding, own.leading)) for each in every]
        values = [f"{percent(share)}, and {name} {spelled(kappa, level=False)}" for share, kappa in pairs]
        rest = "".join(f"; {arm_words(e.arm)} {value}" for e, value in zip(others, values[1:], strict=True))
        return f"{capital(what)} among {n} for {_heading(own, finding)} is {values[0]}{rest}."
    said = []
    if kappas:
        low, high = _ends(kappas)
        said.append(
            f"Among {n}, {name} runs from {spelled(low[1])} for {_heading(own, low[0])} to "
            f"{spelled(high[1], level=False)} for {_heading(own, high[0])}"
        )
    if shares:
        low, high = _ends(shares)
        start = f"and {what} from" if said else f"Among {n}, {what} runs from"
        said.append(
            f"{start} {100 * number(low[1]['estimate']):.1f}% ({_heading(own, low[0])}) to "
            f"{100 * number(high[1]['estimate']):.1f}% ({_heading(own, high[0])})"
        )
    if not said:
        return "No agreement between the readers could be computed."
    return f"{', '.join(said)}.{' The other arms are in the table.' if others else ''}"


def _ends(rows: Sequence[tuple[str, Row]]) -> tuple[tuple[str, Row], tuple[str, Row]]:
    ranked = sorted(rows, key=lambda pair: number(pair[1]["estimate"]))
    return ranked[0], ranked[-1]


def _heading(own: Agreement, finding: str) -> str:
    return own.evidence.heading(finding).lower()


def _more(own: Agreement) -> str:
    said = ["No reference standard was supplied: agreement is not accuracy."]
    if own.blocks:
        said.append(_within_blocks(own))
    said += [text for text in (handling_of_calls(own.evidence),) if text and not own.graded]
    derived = set(own.evidence.estimates.filter(pl.col("analysis") == "readers")["reference"].unique()) & {*_DERIVED}
    if derived:
        said.append("Rates under references derived from the same reads are in the section on readers.")
    return " ".join(said)


def _within_blocks(own: Agreement) -> str:
    """That readers form blocks, with the range of the leading measure within them, and where it has no value."""
    findings = leading_findings(own.evidence, own.findings)
    several = len(findings) > 1
    places = {
        (f"{_heading(own, f)} in block {block}" if several else f"in block {block}"): rows[f, m.metric, m.at]
        for m in (own.leading,)
        for block, rows in own.blocks.items()
        for f in findings
        if (f, m.metric, m.at) in rows
    }
    values = sorted(number(row["estimate"]) for row in places.values() if known(row))
    lost = {place: row for place, row in places.items() if not known(row)}
    ends = list(dict.fromkeys(fixed(value) for value in values[:1] + values[-1:]))
    which = "the block" if len(own.blocks) == 1 else f"each of {len(own.blocks)} blocks"
    text = "The readers form blocks that have hardly any case in common; agreement within "
    text += f"{which} of several readers is in the table"
    if len(ends) == 2:
        text += f", where {own.leading.name} runs from {ends[0]} to {ends[1]}"
    elif ends:
        only = next(place for place, row in places.items() if known(row))
        text += f", where {own.leading.name} is {ends[0]}{f' {only}' * (len(values) == 1 and not several)}"
    if len(lost) > _MOST_LOST:
        text += f"; it could not be computed for {len(lost)} of {len(places)}"
    elif lost:
        text += f"; it could not be computed {'for ' * several}{listed([_lost(p, row) for p, row in lost.items()])}"
    return f"{text}."


def _lost(place: str, row: Row) -> str:
    """Where a measure has no value, with the first reason of its note."""
    reason = next((codes.render("notes", code).removeprefix("NE: ") for code in codes_of(row)), "")
    return f"{place} ({reason})" if reason else place


def _facts(own: Agreement) -> tuple[tuple[str, str], ...]:
    counts = (
        ("readers", own.most("n_readers")),
        ("pairs of readers", own.pairs),
        ("cases", own.most_of(own.equal, "n_cases")),
        ("patients", 0 if own.evidence.cases_are_patients else own.most_of(own.equal, "n_patients")),
        ("finding" if len(own.findings) == 1 else "findings", len(own.findings)),
    )
    return tuple((what, count(n)) for what, n in counts if n)


def _figure(own: Agreement) -> Figure | None:
    rows = []
    for finding in own.by_height():
        kappa, share = own.row(finding, own.leading), own.row(finding, own.equal)
        if known(kappa) or known(share):
            below = (
                f"{own.equal.name.rpartition(' of ')[2]} {100 * number(share['estimate']):.1f}%" if known(share) else ""
            )
            rows.append(ForestRow(own.evidence.heading(finding), ((mark_of(kappa, 0),),), note=below))
    if not rows:
        return None
    panel = Panel(
        Scale("0 is chance, 1 complete agreement"), f"{own.leading.title} ({own.evidence.confidence} interval)"
    )
    return panel_figure(
        ForestPlot(tuple(rows), (panel,), (series_style(0),)),
        (),
        name="answer",
        caption=f"Line: {own.evidence.confidence} interval; cases of one patient are kept together.",
        title="Agreement among the readers, for each finding",
        note=f"{own.leading.title}; below the finding {own.equal.name}. Findings in the order of {own.leading.title}.",
    )


def percent_cell(row: Row | None) -> Cell:
    """A proportion as a cell in per cent."""
    if not known(row):
        return number_cell(row)
    value, low, high = (100 * number(row[k]) for k in ("estimate", "low", "high"))
    return Cell(interval(value, low, high, 1), "num", note="" if low == low else "no interval")


def _cells(own: Agreement, finding: str, rows: dict[tuple[str, str, str], Row]) -> tuple[Cell, ...]:
    found = [rows.get((finding, m.metric, m.at)) for m in (own.equal, *own.measures)]
    # the first is over cases with two or more reads; those with one have a part in chance agreement alone
    n = next((int(r["n_cases"]) for r in found if r and r.get("n_cases") is not None), 0)
    name = Cell(own.evidence.heading(finding))
    return name, Cell(count(n), "num"), percent_cell(found[0]), *map(number_cell, found[1:])


def _head(own: Agreement) -> tuple[Cell, ...]:
    return heads("Finding", "Cases", f"{own.equal.title} (%)", *(m.title for m in own.measures))


def _table(every: Sequence[Agreement]) -> Table:
    first = every[0]
    body: list[tuple[Cell, ...]] = []
    for own in every:
        body += [group(arm_title(own.arm), 3 + len(first.measures))] if len(every) > 1 else []
        body += [_cells(own, f, own.rows) for f in own.by_height()]
    made = Table(
        "Agreement among the readers",
        (_head(first),),
        tuple(body),
        note=f"With {own.evidence.confidence} interval. {_CASES}",
    )
    return first_rows(made, "rows")


def _detail(own: Agreement) -> tuple[Table, ...]:
    """Agreement within blocks of readers, or else every finding."""
    if not own.blocks:
        cells = [_cells(own, f, own.rows) for f in own.by_height()]
        return (table(f"Agreement among the readers, with {own.evidence.confidence} interval.", (_head(own),), cells),)
    body: list[tuple[Cell, ...]] = []
    for block, rows in own.blocks.items():
        n = max((int(r["n_readers"]) for r in rows.values() if r.get("n_readers") is not None), default=0)
        body.append(group(f"Block {block}: {plural(n, 'reader')}", 3 + len(own.measures)))
        found = {f for f, _, _ in rows}
        body += [_cells(own, f, rows) for f in own.by_height() if f in found]
    return (
        table(
            f"Agreement within blocks of readers who read the same cases, with {own.evidence.confidence} interval.",
            (_head(own),),
            body,
        ),
    )


def _terms(own: Agreement) -> list[tuple[str, str]]:
    names = listed([m.title for m in own.measures])
    share = "The proportion of pairs of answers to the same case that are equal."
    chance = (
        "Agreement beyond that expected by chance: 0 is chance, 1 is complete agreement. They differ in how chance "
    )
    chance += "is defined; where nearly all answers are the same, κ and α are low although most answers are equal."
    return [(own.equal.title, share), (names, chance)]
