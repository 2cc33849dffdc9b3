"""The answer of every section in one sentence, from the rows that the section shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite

import polars as pl

from overread import codes
from overread.reporting.blocks import Section
from overread.reporting.estimate_cells import codes_of, known
from overread.reporting.first_page.decision_question import decision_rows, paired_rates
from overread.reporting.first_page.first_page_parts import bounded, hospital, place, side, spelled
from overread.reporting.first_page.mean_aucs import mean_rates, model_means, only_finding, over_own_findings
from overread.reporting.number_format import capital, count, fixed, listed, number, plural
from overread.reporting.report_data import (
    MEAN,
    ReportData,
    Row,
    contrast_of,
    error_rate,
    left_out,
    overall,
    pick,
    value_at,
)
from overread.reporting.sections.model_results.decision_section import TREAT_ALL
from overread.reporting.sections.reader_results.arm_pairs import leading_pair, minus
from overread.reporting.sections.reader_results.given_decisions import decisions_sentence
from overread.reporting.sections.reader_results.graded_areas import graded_sentence
from overread.reporting.sections.reader_results.model_sentences import without_intervals
from overread.reporting.sections.reader_results.reader_titles import READERS, arms, in_sentence, in_words
from overread.tables import counted


def with_answers(evidence: ReportData, sections: Sequence[Section]) -> list[Section]:
    """The sections, each with content with its answer; one that has an answer of its own keeps it."""
    made = []
    for section in sections:
        rule = _ANSWERS.get(section.name)
        needed = rule is not None and not section.absent and not section.answer
        made.append(replace(section, answer=rule(evidence)) if rule is not None and needed else section)
    return made


def _lead_rows(evidence: ReportData, metric: str, analysis: str = "standalone") -> list[Row]:
    """The rows of the leading model at the first population, of single findings, with a number."""
    frame = pick(overall(evidence, analysis, metric), rater=evidence.cast.lead)
    first = next(iter(evidence.cast.populations), "")
    frame = frame.filter(pl.col("finding") != MEAN, pl.col("population") == first)
    return [row for row in frame.to_dicts() if known(row)]


def _ends(rows: Iterable[Row]) -> tuple[Row, Row]:
    ranked = sorted(rows, key=lambda r: number(r["estimate"]))
    return ranked[0], ranked[-1]


def _at(evidence: ReportData) -> str:
    """At which population, where there are several."""
    return f" {place(evidence.cast.populations[0])}" if len(evidence.cast.populations) > 1 else ""


def discrimination(evidence: ReportData) -> str:
    """From the lowest to the highest AUC of the leading model."""
    rows = [r for r in _lead_rows(evidence, "auc") if not r["at"]]
    if not rows:
        return "No AUC of the leading model could be computed."
    low, high = _ends(rows)
    names = [evidence.heading(r["finding"]).lower() for r in (low, high)]
    if low is high:
        return f"The AUC of {evidence.cast.lead} for {names[0]}{_at(evidence)} is {spelled(low)}."
    return (
        f"The AUC of {evidence.cast.lead}{_at(evidence)} runs from {spelled(low)} for {names[0]} to "
        f"{spelled(high, level=False)} for {names[1]}."
    )


def operating(evidence: ReportData) -> str:
    """Sensitivity and specificity of the leading model at its first thresholds."""
    rates = mean_rates(evidence)
    population = next(iter(evidence.cast.populations), "")
    mean = "mean " if model_means(evidence).finding == MEAN else ""
    said = [
        f"a {mean}{rate.metric} of {spelled(row, level=i == 0)}"
        for i, rate in enumerate(r for r in rates if r.threshold == rates[0].threshold)
        if known(row := rate.rows.get((evidence.cast.lead, population)))
    ]
    if not said:
        rows = decision_rows(evidence)
        found = [(m, rows.whole(m, evidence.cast.lead, population)) for m in ("sensitivity", "specificity")]
        mean = "mean " if rows.finding == MEAN else ""
        texts = [f"a {mean}{m} of {spelled(row, level=i == 0)}" for i, (m, row) in enumerate(found) if known(row)]
    if not said and texts:
        return f"The decisions of {evidence.cast.lead} have {listed(texts)}{_at(evidence)}."
    if not said:
        return "The rates at the thresholds have no mean over findings; each is in the table."
    return f"At {rates[0].where}, {evidence.cast.lead} has {listed(said)}{_at(evidence)}."


def readers(evidence: ReportData) -> str:
    """The difference between arms; or how the models do at the readers' specificity; or how many readers there are."""
    found = arms(evidence)
    if not found:
        return ""
    first = leading_pair(evidence)
    if first and bounded(first.difference(metric := first.leading_measure)):
        finding = evidence.heading(first.finding).lower()
        by = in_sentence(first.reference)
        row = spelled(first.difference(metric), signed=True)
        return f"{capital(minus(first))}: {row} in the {metric.replace('auc', 'AUC')} for {finding}, by {by}."
    reads = found[0]
    rows = pick(reads.frame, metric="sensitivity_difference", at="specificity=readers", contrast=f"rater:{READERS}")
    said = []
    for reference in reads.stated or reads.references:
        every = pick(rows, reference=reference).to_dicts()
        if mine := [r for r in every if bounded(r)]:
            said.append(f"by {in_sentence(reference)} {_where(mine)}{_lacking(every, mine)}")
    decided = decisions_sentence(reads)
    if said:
        start = "Sensitivity of the models at the specificity of the readers, minus that of the readers"
        told = f"{start}: {'; '.join(said)}."
        return f"{told} {decided}".strip()
    if told := " ".join(filter(None, (without_intervals(reads), decided, graded_sentence(reads)))):
        return told
    people = reads.frame.filter(pl.col("arm") == reads.arm, pl.col("rater") != READERS)["rater"].n_unique()
    return f"{plural(people, 'reader')} and {plural(len(reads.findings), 'finding')} were evaluated."


def _where(rows: Sequence[Row]) -> str:
    """How many intervals lie below 0 and above 0, or that all include 0."""
    below, above = (sum(side(r) == s for r in rows) for s in (-1, 1))
    if below or above:
        of = plural(len(rows), "comparison")
        return f"the interval lies below 0 in {below or 'none'} and above 0 in {above or 'none'} of {of}"
    every = f" in {'both' if len(rows) == 2 else f'all {len(rows)}'} comparisons" if len(rows) > 1 else ""
    return f"the interval includes 0{every}"


def calibration(evidence: ReportData) -> str:
    """For how many findings the probabilities are too extreme or too moderate."""
    rows = _lead_rows(evidence, "calibration_slope")
    given = [r for r in rows if value_at(r["at"], "recalibration") != "logistic"]
    rows = given or rows
    if not rows:
        return f"No calibration slope of {evidence.cast.lead} could be computed."
    low = sum(bounded(r) and number(r["high"]) < 1 for r in rows)
    high = sum(bounded(r) and number(r["low"]) > 1 for r in rows)
    slope = f"The calibration slope of {evidence.cast.lead}"
    if len(rows) == 1:
        finding = evidence.heading(rows[0]["finding"]).lower()
        extreme = "too extreme" if low else "too moderate" if high else ""
        means = f"; the probabilities are {extreme}" if extreme else ""
        means = means or ("; the interval includes 1" if bounded(rows[0]) else "")
        return f"{slope} for {finding}{_at(evidence)} is {spelled(rows[0])}{means}."
    return (
        f"{slope}{_at(evidence)} lies below 1 with the whole interval, "
        f"which means probabilities that are too extreme, for {low} of {plural(len(rows), 'finding')}, and above 1 for "
        f"{high}."
    )


def decision(evidence: ReportData) -> str:
    """For how many findings the model has more net benefit than treating none, and than treating all as well."""
    none = [r for r in _lead_rows(evidence, "net_benefit", "decision") if not r["contrast"]]
    every = [r for r in _lead_rows(evidence, "net_benefit_difference", "decision") if r["contrast"] == TREAT_ALL]
    if not none:
        return "No net benefit could be computed."
    ats = sorted({r["at"] for r in none})
    at = ats[len(ats) // 2]
    threshold = value_at(at, "threshold") or at
    above = [r["finding"] for r in none if r["at"] == at and side(r) == 1]
    all_above = {r["finding"] for r in every if r["at"] == at and side(r) == 1}
    both = [f for f in above if f in all_above]
    below = [r["finding"] for r in none if r["at"] == at and side(r) == -1]
    n = len({r["finding"] for r in none if r["at"] == at})
    worse = f"; it lies below that of treating nobody for {len(below)}" if below else ""
    return (
        f"At a threshold probability of {threshold}, the net benefit of {evidence.cast.lead} lies, with the whole "
        f"interval, above that of treating nobody for {len(above)} and above that of treating everybody as well for "
        f"{len(both)} of {plural(n, 'finding')}{_at(evidence)}{worse}."
    )


def comparison(evidence: ReportData) -> str:
    """The difference between the two best models, and for how many findings one remains."""
    means = model_means(evidence)
    population = next(iter(evidence.cast.populations), "")
    ranked = means.ranked(population)
    if len(ranked) < 2:
        decided = decision_rows(evidence)
        paired = paired_rates(decided, decided.lead) if decided.rates and not ranked else ""
        where = "differences of single findings and at other hospitals are in the tables"
        return paired or f"No two models have {_article(means.name())}{_at(evidence)}; {where}."
    first, second = ranked[:2]
    row = means.difference(first, second, population)
    rows = [means.difference(first, second, population, f) for f in evidence.cast.findings]
    tested = [r for r in rows if r and isfinite(number(r["p_adjusted"]))]
    alpha = error_rate(tested)
    clear = sum(number(r["p_adjusted"]) < alpha for r in tested)
    rest = f"; Holm-adjusted P below {alpha:g} for {clear} of {plural(len(tested), 'finding')}" if tested else ""
    name = _name_of_means([row], means.name())
    return f"{first} minus {second}{_at(evidence)}: {spelled(row, signed=True)} in {name}{rest}."


def _name_of_means(rows: Sequence[Row | None], name: str = "mean AUC") -> str:
    """What means are called: those over one and the same finding are the AUC for it."""
    only = only_finding(rows)
    return f"AUC for {in_words(only)}" if only else f"{name}{over_own_findings(rows)}"


def _article(name: str) -> str:
    return f"{'an' if name.startswith('AUC') else 'a'} {name}"


def hypothesis(evidence: ReportData) -> str:
    """In how many comparisons the pooled model is ahead."""
    frame = pick(
        overall(evidence, "H1", "auc_difference"), finding=MEAN, at="", rater=str(evidence.cast.roles.get("pooled"))
    )
    single = evidence.cast.single
    rows = [r for r in frame.to_dicts() if bounded(r) and contrast_of(r["contrast"], "rater") in single]
    if not rows:
        return "No comparison could be computed."
    low, high = _ends(rows)
    above, below = (sum(side(r) == s for r in rows) for s in (1, -1))
    return (
        f"D lies above 0 with the whole interval in {above} of {plural(len(rows), 'comparison')} and below 0 in "
        f"{below}; it runs from {fixed(low['estimate'], signed=True)} to {fixed(high['estimate'], signed=True)}."
    )


def references(evidence: ReportData) -> str:
    """The largest difference in AUC between two reference standards."""
    every = pick(evidence.estimates, analysis="H2", metric="auc_difference").to_dicts()
    rows = [r for r in every if bounded(r)]
    if not rows:
        return "No difference between reference standards could be computed."
    clear, most = _largest(rows)
    names = [in_sentence(n) for n in (most["reference"], contrast_of(most["contrast"], "reference"))]
    finding = evidence.heading(most["finding"]).lower()
    return (
        f"The AUC differs between reference standards, with an interval without 0, in {clear or 'none'} of "
        f"{plural(len(rows), 'comparison')}{_lacking(every, rows)}; the largest{' of these' if clear else ''}, for "
        f"{finding} and {most['rater']}, {names[0]} minus {names[1]}: {spelled(most, signed=True)}."
    )


def _lacking(every: Sequence[Row], rows: Sequence[Row]) -> str:
    """How many differences have no interval, and so no part in the count."""
    n = sum(map(known, every)) - len(rows)
    return f" ({n} more without an interval)" if n else ""


def _largest(rows: Sequence[Row]) -> tuple[int, Row]:
    """How many differences have an interval without 0, and the largest of these, or of all where there is none."""
    clear = [r for r in rows if side(r)]
    return len(clear), max(clear or rows, key=lambda r: abs(number(r["estimate"])))


def policies(evidence: ReportData) -> str:
    """The largest change of an AUC under another treatment of uncertain labels or another label source."""
    return changes(evidence, pick(evidence.estimates, analysis="policies", metric="auc_difference").to_dicts())


def changes(evidence: ReportData, every: Sequence[Row]) -> str:
    """In how many of these changes an AUC changes, and the largest; a mean is not counted beside its findings."""
    every = [r for r in every if r["finding"] != MEAN]
    rows = [r for r in every if bounded(r)]
    if not rows:
        return "No change of an AUC could be computed."
    clear, most = _largest(rows)
    other = f" with “{most['reference']}”" if contrast_of(most["contrast"], "reference") else ""
    where = f" {place(most['population'])}" if len(evidence.cast.populations) > 1 else ""
    return (
        f"The AUC changes, with an interval without 0, in {clear or 'none'} of {plural(len(rows), 'comparison')}"
        f"{_lacking(every, rows)}; the largest{' of these' if clear else ''}, for "
        f"{evidence.heading(most['finding']).lower()} and {most['rater']}{where}{other}: {spelled(most, signed=True)}."
    )


def drop(evidence: ReportData) -> str:
    """How much of the mean AUC of the leading model is lost at each hospital."""
    frame = pick(overall(evidence, "drop", "auc_drop"), rater=evidence.cast.lead)
    finding = MEAN if frame.filter(pl.col("finding") == MEAN).height else next(iter(evidence.cast.findings), "")
    rows = [r for r in pick(frame, finding=finding).to_dicts() if known(r)]
    if not rows:
        return f"No drop of {evidence.cast.lead} could be computed over all findings."
    rows.sort(key=lambda r: -number(r["estimate"]))
    texts = [
        f"{spelled(r, signed=True, level=i == 0)} at {hospital(contrast_of(r['contrast'], 'population'))}"
        for i, r in enumerate(rows[:3])
    ]
    rest = f" and less at {plural(len(rows) - 3, 'other hospital')}" if len(rows) > 3 else ""
    mean = _name_of_means(rows) if finding == MEAN else "AUC"
    return f"Internal minus external {mean} of {evidence.cast.lead}: {listed(texts)}{rest}."


def site_alone(evidence: ReportData) -> str:
    """How far the name of the hospital alone discriminates."""
    frame = pick(evidence.estimates, analysis="site_alone", metric="auc", population="internal", at="pairs=all")
    rows = [
        r
        for r in frame.filter(pl.col("rater").str.starts_with("(site)"), pl.col("finding") != MEAN).to_dicts()
        if known(r)
    ]
    if not rows:
        return "No AUC of the hospital alone could be computed."
    high = _ends(rows)[1]
    finding = evidence.heading(high["finding"]).lower()
    return f"The prevalence at the hospital alone has an AUC of up to {spelled(high)}, for {finding}."


def matrix(evidence: ReportData) -> str:
    """The lowest and the highest number of the matrix."""
    frame = pick(evidence.estimates, analysis="matrix", metric="auc")
    means = frame.filter(pl.col("finding") == MEAN)
    rows = [r for r in (means if means.height else frame).to_dicts() if known(r)]
    if not rows:
        return "No AUC could be computed."
    low, high = _ends(rows)
    lowest, highest = (f"{row['rater']} at {row['level']}" for row in (low, high))
    own = over_own_findings(rows)
    return f"The AUC{own} runs from {spelled(low)}, {lowest}, to {spelled(high, level=False)}, {highest}."


def not_computed(evidence: ReportData) -> str:
    """How many numbers are missing, and the commonest reason."""
    missing = evidence.estimates.filter(pl.col("estimate").is_nan())
    if missing.is_empty():
        return f"All {count(evidence.estimates.height)} estimates were computed."
    counted: dict[str, list[codes.Code]] = {}
    for row in missing.iter_rows(named=True):
        for code in codes_of(row)[:1]:
            counted.setdefault(code.name, []).append(code)
    head = f"{count(missing.height)} of {plural(evidence.estimates.height, 'estimate')} could not be computed"
    if not counted:
        return f"{head}."
    most = max(counted.values(), key=len)
    why = codes.pattern("notes", most).removeprefix("NE: ")
    return f"{head}; the commonest reason, {count(len(most))} times: {why}."


def account(evidence: ReportData) -> str:
    """How many lines the account has."""
    lines = left_out(evidence)
    if lines.is_empty():
        return "Nothing was excluded."
    largest = max(lines.to_dicts(), key=lambda row: row["count"])
    what = counted(largest["count"], str(largest["unit"]))
    return f"{plural(lines.height, 'reason')} for exclusions and changes; the largest: {what}, {largest['reason']}."


def participants(evidence: ReportData) -> str:
    """How many images, patients and hospitals."""
    images = evidence.images
    return (
        f"{plural(images.height, 'radiograph')} of {plural(images['patient_id'].n_unique(), 'patient')} from "
        f"{plural(images['site'].n_unique(), 'hospital')}."
    )


def governance(evidence: ReportData) -> str:
    """Whether there is a protocol, and how often the test labels were accessed."""
    protocol = "A protocol was supplied" if evidence.study.get("protocol_hash") else "No protocol was supplied"
    n = len(evidence.openings)
    opened = (
        f"the test labels were accessed {plural(n, 'time')}"
        if n
        else "the number of accesses to the test labels is not known"
    )
    return f"{protocol}; {opened}."


def training(evidence: ReportData) -> str:
    """How many models have a record of their training."""
    return f"The training of {plural(len(evidence.histories) or len(evidence.models), 'run')} is recorded."


def methods(evidence: ReportData) -> str:
    """What the section is for."""
    known_level = evidence.estimates["confidence"].is_not_null().any()
    return f"Intervals are at the {evidence.confidence} level." if known_level else ""


_ANSWERS: Mapping[str, Callable[[ReportData], str]] = {
    "discrimination": discrimination,
    "operating": operating,
    "readers": readers,
    "calibration": calibration,
    "decision": decision,
    "comparison": comparison,
    "h1": hypothesis,
    "h2": references,
    "policies": policies,
    "drop": drop,
    "site-alone": site_alone,
    "matrix": matrix,
    "not-computed": not_computed,
    "account": account,
    "participants": participants,
    "governance": governance,
    "training": training,
    "methods": methods,
}
