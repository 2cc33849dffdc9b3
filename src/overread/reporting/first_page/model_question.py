"""The first page of models on test sets: which is better, and how well it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from overread.reporting.blocks import Table
from overread.reporting.estimate_cells import known, mean_of
from overread.reporting.first_page.answer_figures.model_figures import models_figure
from overread.reporting.first_page.answer_figures.model_tables import findings_table, models_table
from overread.reporting.first_page.answer_lines.group_contrasts import group_line
from overread.reporting.first_page.answer_lines.hospital_pairs import hospitals_line, same_site
from overread.reporting.first_page.answer_lines.models_without_auc import apart_line, decisions_beside, without_auc
from overread.reporting.first_page.first_page_parts import (
    AUC_TERM,
    AUC_WITHIN_TERM,
    MARK_TERM,
    THRESHOLD_TERM,
    FirstPage,
    bounded,
    fewer_findings,
    findings_of,
    hospital,
    interval_term,
    most_findings,
    negated,
    place,
    side,
    spelled,
    undecided,
)
from overread.reporting.first_page.mean_aucs import (
    ModelMeans,
    mean_rates,
    model_means,
    no_mean_line,
    only_finding,
    over_own_findings,
)
from overread.reporting.group_rows import GroupRows
from overread.reporting.number_format import count, fixed, listed, number, plural
from overread.reporting.report_data import MEAN, ReportData, Row, contrast_of, in_order, overall, pick
from overread.reporting.sections.reader_results.reader_titles import in_words
from overread.reporting.seed_rows import section_raters, seeds_apart

_SPELLED = 3  # models of which each has its rates in the answer


def models_page(evidence: ReportData) -> FirstPage:
    """The page of one or several models, at one or several hospitals."""
    means = model_means(evidence)
    populations = _populations(means)
    lead = populations[0] if populations else ""
    ranked = means.ranked(lead)
    several = len(populations) > 1
    apart = without_auc(means, populations) if populations else []
    figure = models_figure(means, ranked, populations)
    more = _more(means, ranked, populations, apart)
    table_shown = models_table(means, ranked, populations)
    return FirstPage(
        "Evidence report",
        _question(evidence, ranked, several=several),
        _sites_answer(means, ranked, populations) if several else _placed_answer(means, ranked, lead),
        more,
        (),
        figure,
        table_shown,
        findings_table(means, ranked, lead),
        terms=(
            _auc_term(means, ranked, lead),
            interval_term(means.evidence.confidence),
            *([THRESHOLD_TERM] if _tells_rates(table_shown, more) else []),
            MARK_TERM,
        ),
        beside=decisions_beside(evidence, apart),
    )


def _tells_rates(shown: Table | None, more: str) -> bool:
    """Whether the page has a rate at a threshold."""
    titles = [cell.text for row in shown.head for cell in row] if shown is not None else []
    text = " ".join([*titles, more]).lower()
    return any(word in text for word in ("threshold", "sensitivity", "specificity"))


def _more(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str], apart: Sequence[str]) -> str:
    """The lines below the answer: the pairs of the AUC, other hospitals, rates at thresholds, models without an AUC."""
    lead = populations[0] if populations else ""
    sites = hospitals_line(means, ranked, lead) if ranked else ""
    seeds = seeds_apart(means.evidence)
    place = hospital(lead) if len(populations) > 1 else ""
    at_threshold = _at_threshold(means, ranked, lead, place)
    without = apart_line(means, apart, several=len(populations) > 1)
    mean = no_mean_line(means.evidence, means.finding)
    groups = _groups(means, ranked, lead)
    lines = (mean, sites, _beside(means, ranked, populations), at_threshold, groups, without, seeds)
    return " ".join(line for line in lines if line)


def _auc_term(means: ModelMeans, ranked: Sequence[str], population: str) -> tuple[str, str]:
    within = bool(ranked) and same_site(means.whole(ranked[0], population))
    return AUC_WITHIN_TERM if within else AUC_TERM


def _populations(means: ModelMeans) -> list[str]:
    """The populations at which a model has an AUC."""
    found = {p for r in means.evidence.cast.raters for p in means.evidence.cast.populations_of(r)}
    return [p for p in in_order(found) if means.ranked(p)]


def _question(evidence: ReportData, ranked: Sequence[str], *, several: bool) -> str:
    stated = str(evidence.study.get("question") or "").strip()
    if stated:
        return stated
    names = list(ranked or section_raters(evidence))
    which = listed(names) if len(names) <= 2 else f"{len(names)} models"
    verb = "does" if len(names) == 1 else "do"
    what = "tell radiographs with a finding from those without"
    if several:
        return f"How well {verb} {which} {what}, and does it hold at hospitals that were not used in training?"
    return f"How well {verb} {which} {what}{', and is one better' if len(ranked) > 1 else ''}?"


def _answer(means: ModelMeans, ranked: Sequence[str], population: str) -> str:
    if not ranked:
        return "No AUC could be computed."
    first = means.whole(ranked[0], population)
    name = means.name()
    if len(ranked) == 1:
        return f"{ranked[0]} has {'an' if name.startswith('AUC') else 'a'} {name} of {spelled(first)}."
    second = means.whole(ranked[1], population)
    row = means.difference(ranked[0], ranked[1], population)
    if len(ranked) == 2:
        values = [fixed((row or {})["estimate"]) for row in (first, second)]
        numbers = f"{values[0]} for {ranked[0]} and {values[1]} for {ranked[1]}"
        told = f"a difference of {spelled(row, signed=True)}" if known(row) else "on cases that are not all the same"
        start = f"{ranked[0]} has the higher {name}" if side(row) else f"The {name} is"
        joint = ": " if side(row) else " "
        return f"{start}{joint}{numbers}, {told}{undecided(means.evidence, row, 'which is higher is not shown')}."
    equal = [o for o in ranked[1:] if _equal(means, ranked[0], o, population)]
    rest = [o for o in ranked[1:] if o not in equal]
    others = _others(means, ranked[0], rest, population, subject=ranked[0] if equal else "it")
    if not equal:
        return f"Of {len(ranked)} models, {ranked[0]} has the highest {name}, {spelled(first)}{others}."
    have = f"have the {'highest' if rest else 'same'} {name}"
    return f"Of {len(ranked)} models, {listed([ranked[0], *equal])} {have}, {spelled(first)}{others}."


def _equal(means: ModelMeans, first: str, second: str, population: str) -> bool:
    """Whether two models have the same AUC, on the same cases."""
    row = means.difference(first, second, population)
    return known(row) and number(row["estimate"]) == 0


def _placed_answer(means: ModelMeans, ranked: Sequence[str], population: str) -> str:
    """The answer of one population: whose it is, where it is not of all cases of the test."""
    said = _answer(means, ranked, population)
    if not ranked:
        return said
    (n, same), every = means.cases(ranked[0], population), means.all_cases(ranked[0], population)
    if len(means.evidence.cast.populations) > 1:
        start = means.counted(population, ranked[0])
        start = f"At {start}" if population.startswith("external:") else f"In {start}"
    elif n and n < every:
        start = f"On {'' if same else 'up to '}{count(n)} of {plural(every, 'case')}"
    else:
        return said
    said = f"{said[:1].lower()}{said[1:]}" if said.startswith(("The ", "Of ")) else said
    return f"{start}, {said.removesuffix('.')}{_without(means, ranked[0])}."


def _without(means: ModelMeans, rater: str) -> str:
    """The external hospitals at which the model has no AUC."""
    own = [p for p in means.evidence.cast.populations_of(rater) if p.startswith("external:")]
    lost = [hospital(p) for p in own if not known(means.whole(rater, p))]
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
    named = listed(lost) if not more else f"{', '.join(lost[:3])}{more}"
    return f"; at {named} it could not be computed" if lost else ""


def _others(means: ModelMeans, first: str, others: Sequence[str], population: str, *, subject: str) -> str:
    """How far the best of many lies above the others, those without a difference or an interval counted."""
    rows = [r for other in others if known(r := means.difference(first, other, population))]
    if not rows:
        return ""
    low, high = (f(number(r["estimate"]) for r in rows) for f in (min, max))
    above = sum(side(r) > 0 for r in rows if bounded(r))
    ends = [fixed(value, signed=True) for value in (low, high)]
    span = ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
    if len(others) == 1:
        return f"; {subject} lies {spelled(rows[0], signed=True, level=False)} above {others[0]}"
    open_ended, missing = sum(not bounded(r) for r in rows), len(others) - len(rows)
    without = [f"{open_ended} without an interval"] if open_ended else []
    without += [f"{missing} without a difference"] if missing else []
    told = f" ({', '.join(without)})" if without else ""
    return (
        f"; {subject} lies {span} above the others, with the whole interval above 0 for {above} of {len(others)}{told}"
    )


def _sites_answer(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> str:
    """The leading model inside and at the hospitals that it has not seen."""
    if not ranked:
        return "No AUC could be computed."
    lead, name = ranked[0], means.name()
    outside = [p for p in populations if p.startswith("external:") and known(means.whole(lead, p))]
    if not outside:
        return _placed_answer(means, ranked, populations[0])
    inside = means.whole(lead, "internal")
    of = f"the {name} of {lead}{over_own_findings(means.whole(lead, p) for p in outside)}"
    compared = _against_internal(means, lead, outside)
    if len(outside) == 1:
        place, value = means.counted(outside[0], lead), spelled(means.whole(lead, outside[0]))
        return f"At {place}, {of} is {value}{compared}{_without(means, lead)}."
    by_height = sorted(outside, key=lambda p: number((means.whole(lead, p) or {})["estimate"]))
    low, high = by_height[0], by_height[-1]
    which = "hospitals outside the internal test" if known(inside) else "external hospitals"
    ends = [means.counted(p, lead) for p in (low, high)]
    return (
        f"At {len(outside)} {which}, {of} runs from {spelled(means.whole(lead, low))} at {ends[0]} to "
        f"{spelled(means.whole(lead, high), level=False)} at {ends[1]}{compared}{_without(means, lead)}."
    )


def _against_internal(means: ModelMeans, lead: str, outside: Sequence[str]) -> str:
    """The AUC in the internal test; where the means are over other findings there, the drop over those of both."""
    inside = means.whole(lead, "internal")
    if not known(inside):
        return ""
    if not over_own_findings([inside, *(means.whole(lead, p) for p in outside)]):
        return f", against {spelled(inside, level=False)} in the internal test"
    frame = pick(overall(means.evidence, "drop", "auc_drop"), rater=lead, finding=means.finding)
    rows = [r for r in frame.to_dicts() if known(r) and contrast_of(r["contrast"], "population") in outside]
    if not rows:
        return "; no finding could be evaluated both there and in the internal test"
    rows.sort(key=lambda r: number(r["estimate"]))
    least, most = (spelled(r, signed=True, level=False) for r in (rows[0], rows[-1]))
    named = list(dict.fromkeys(f for r in rows if (over := mean_of(r)) for f in over.findings))
    findings = "the findings" if len(named) > 3 else listed([in_words(f) for f in named])
    span = least if len(rows) == 1 else f"from {least} to {most}"
    return f"; over {findings}, evaluable in both, internal minus external is {span}"


def _beside(means: ModelMeans, ranked: Sequence[str], populations: Sequence[str]) -> str:
    """Where there are several hospitals: the difference between the first two models at each."""
    if len(populations) < 2 or len(ranked) < 2:
        return ""
    rows = {p: r for p in populations if (r := means.difference(ranked[0], ranked[1], p)) and bounded(r)}
    if not rows:
        return ""
    above, below = (sum(side(r) == s for r in rows.values()) for s in (1, -1))
    low, high = (f(rows.values(), key=lambda r: number(r["estimate"])) for f in (min, max))
    if len(rows) == 1:
        where, row = next(iter(rows.items()))
        return f"{ranked[0]} minus {ranked[1]}: {spelled(row, signed=True)} {place(where)}."
    own = over_own_findings(rows.values())
    ends = [
        f"{fixed(end['estimate'], signed=True)} {next(place(p) for p, r in rows.items() if r is end)}"
        for end in (low, high)
    ]
    return (
        f"{ranked[0]} minus {ranked[1]}{own} runs from {ends[0]} to {ends[1]}; the whole interval lies above 0 in "
        f"{above or 'none'} and below 0 in {below or 'none'} of {len(rows)}."
    )


def _at_threshold(means: ModelMeans, ranked: Sequence[str], population: str, place: str = "") -> str:
    """The rates at a threshold; `place` is named where there are several hospitals."""
    rates = mean_rates(means.evidence)
    if not rates or not ranked:
        return ""
    shown = [r for r in rates if r.threshold == rates[0].threshold]
    shown = shown[:1] if "meant for" in shown[0].threshold else shown  # a given threshold fixes neither rate
    said: list[str] = []
    most = most_findings(means.whole(r, population) for r in ranked)
    for rate in shown:
        raters = [r for r in ranked[:_SPELLED] if known(rate.rows.get((r, population)))]
        without = [r for r in ranked[:_SPELLED] if r not in raters]
        if not raters:
            continue
        alone = rate.shared(raters, population)
        rows = {r: rate.each[r, population, alone] if alone else rate.rows[r, population] for r in raters}
        over, each = _over(rows, most)
        lone = "" if alone else only_finding(rows.values())
        values = [f"{spelled(row, level=not i and not said)}{each[r]}" for i, (r, row) in enumerate(rows.items())]
        texts = [f"{value} for {r}" for value, r in zip(values, rows, strict=True)]
        name = f" for {means.evidence.heading(alone).lower()}"
        only = f"{name}, the only finding for which {'both' if len(raters) == 2 else 'all'} have it," if alone else ""
        title = lone or means.title
        only = (only or (f" for {in_words(title)}" if title else "")) if not said else ""
        mean = "mean " if means.finding == MEAN and not alone and not lone else ""
        over = "" if lone else over
        none = f" (none for {listed(without)})" if without else ""
        said.append(f"the {mean}{rate.metric}{over}{only} is {listed(texts)}{none}")
    where = f"{place} and at {shown[0].where}" if place else shown[0].where
    return f"{'In' if place.startswith('the ') else 'At'} {where}, {listed(said)}." if said else ""


def _over(rows: Mapping[str, Row], most: int) -> tuple[str, dict[str, str]]:
    """Over how many findings the means are where they are over fewer than the headline, or each of different ones."""
    texts = {r: fewer_findings(row, most) or f"over {plural(findings_of(row), 'finding')}" for r, row in rows.items()}
    first = next(iter(rows.values()))
    if len(set(map(findings_of, rows.values()))) > 1:
        return "", {r: f" {text}" for r, text in texts.items()}
    return f" {fewer}" if (fewer := fewer_findings(first, most)) else "", dict.fromkeys(rows, "")


def _groups(means: ModelMeans, ranked: Sequence[str], population: str) -> str:
    """The difference between the groups that the configuration names, in every model and between models."""
    evidence = means.evidence
    frame = pick(evidence.estimates, analysis="subgroups", finding=means.finding)
    where = f" {place(population)}" if len(evidence.cast.populations) > 1 else ""
    found = tuple(_higher_first(row, ranked) for row in frame.to_dicts())
    rows = GroupRows(found if evidence.config.get("group_differences") else (), named_only=True)
    most = most_findings(means.whole(r, population) for r in ranked)
    return group_line(rows, ranked, population, where=where, most=most, tabled=False)


def _higher_first(row: Row, ranked: Sequence[str]) -> Row:
    """A contrast between two models as the page compares them: the one with the higher AUC minus the other."""
    first, other = row["rater"], contrast_of(row["contrast"], "rater")
    if first not in ranked or other not in ranked or ranked.index(first) < ranked.index(other):
        return row
    return negated(row) | {"rater": other, "contrast": f"rater:{first}"}
