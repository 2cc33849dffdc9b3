"""How an AUC of cases of several hospitals is made of them: the pairs that are compared, or a mean over hospitals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from overread.codes import Code
from overread.reporting.estimate_cells import code_of, known
from overread.reporting.first_page.first_page_parts import place, spelled
from overread.reporting.first_page.mean_aucs import ModelMeans, model_means
from overread.reporting.number_format import capital, fixed, listed, number, plural
from overread.reporting.report_data import MEAN, Row, overall, pick
from overread.reporting.seed_rows import SeedRows

_STRATIFIED, _POOLED = "aggregation_stratified", "aggregation_pooled"
_PAIRS = {_STRATIFIED: "of the same hospital", _POOLED: "of the same and of different hospitals"}
_ALL, _SAME = "pairs=all", "pairs=site"
_SPELLED = 3  # models of which each has its other AUC in the line
_WORDS = {_ALL: "all pairs", _SAME: "pairs of the same hospital"}


@dataclass(frozen=True, slots=True)
class _Aggregation:
    """How the hospitals are put together in an AUC, in words, and the `at` of the AUC made in the other way."""

    words: str
    other: str


def same_site(row: Row | None) -> bool:
    """Whether an AUC is over pairs of cases of the same hospital."""
    return code_of(row, _STRATIFIED) is not None


def hospitals_line(means: ModelMeans, raters: Sequence[str], population: str) -> str:
    """How the hospitals are put together in the AUCs, with the AUC of the other way; "" of one hospital.

    Of more than three models, the other AUC is that of the first one.
    """
    row = means.whole(raters[0], population)
    made = _aggregation(means, row) if row else None
    if made is None:
        return ""
    named = len(raters) > 1
    shown = [r for r in raters if known(means.whole(r, population))]
    shown = shown if len(shown) <= _SPELLED else shown[:1]
    told = [text for r in shown if (text := _other(means, means.whole(r, population), made, named=named))]
    rest = f"; over {_WORDS[made.other]} {listed(told)}" if told else ""
    return _sentence(means, f"{made.words}{rest}", population)


def _other(means: ModelMeans, row: Row | None, made: _Aggregation, *, named: bool) -> str:
    """The AUC of a model that is made in the other way, and its difference from the main one."""
    place_of = {column: (row or {})[column] for column in ("rater", "population", "finding")}
    every, change = (
        next(iter(pick(overall(means.evidence, "standalone", m), at=at, **place_of).to_dicts()), None)
        for m, at in (("auc", made.other), ("auc_difference", _ALL))
    )
    if not known(every):
        return ""
    who = f" for {every['rater']}" if named else ""
    words = "all pairs minus these:" if made.other == _SAME else "difference"
    difference = f" ({words} {spelled(change, signed=True, nested=True)})" if known(change) else ""
    return f"{fixed(every['estimate'])}{who}{difference}"


def seeds_hospitals_line(rows: SeedRows, population: str) -> str:
    """How the hospitals are put together in the AUCs of seeds, with the mean over seeds of the other way."""
    means = model_means(rows.evidence)
    found = {n: [means.areas.get((m, population, rows.finding)) for m in own] for n, own in rows.variants.items()}
    first = next((row for own in found.values() for row in own if known(row)), None)
    made = _aggregation(means, first) if first else None
    if first is None or made is None:
        return ""
    frame = pick(overall(rows.evidence, "standalone", "auc"), at=made.other, population=population)
    values = {r["rater"]: number(r["estimate"]) for r in pick(frame, finding=rows.finding).to_dicts() if known(r)}
    others = {
        n: sum(values[m] for m in own) / len(own) for n, own in rows.variants.items() if own and set(own) <= set(values)
    }
    told = [f"{fixed(x)} for {n}" for n, x in others.items()]
    if len(told) > _SPELLED:
        ends = sorted(others, key=lambda n: others[n])
        told = [" to ".join(f"{fixed(others[n])} for {n}" for n in (ends[0], ends[-1]))]
    rest = f"; over {_WORDS[made.other]} the mean over seeds is {listed(told)}" if told else ""
    return _sentence(means, f"{made.words}{rest}", population)


def _sentence(means: ModelMeans, said: str, population: str) -> str:
    """The sentence, with the name of its population where there are several."""
    return f"{capital(place(population))}: {said}." if len(means.evidence.cast.populations) > 1 else f"{capital(said)}."


def _aggregation(means: ModelMeans, row: Row) -> _Aggregation | None:
    """How the hospitals are put together in a row; None where its note does not say it, or there is one hospital."""
    for name, other in ((_STRATIFIED, _ALL), (_POOLED, _SAME)):
        if (code := code_of(row, name)) and (name == _STRATIFIED or _pairs_and_sites(code)[1] > 1):
            return _Aggregation(_pairs(means, row, code), other)
    words = _mean_over_hospitals(row)
    return _Aggregation(words, _ALL) if words else None


def _pairs(means: ModelMeans, row: Row, code: Code) -> str:
    """The pairs of an AUC; of a mean over findings, of which each has its own, from the fewest to the most."""
    where = (row["rater"], row["population"])
    start = f"pairs of cases {_PAIRS[code.name]}"
    findings = means.evidence.cast.findings if row["finding"] == MEAN else ()
    counts = {f: _pairs_and_sites(own) for f in findings if (own := code_of(means.areas.get((*where, f)), code.name))}
    if len(set(counts.values())) > 1:
        ends = [
            f"{plural(pairs, 'pair')} at {plural(sites, 'hospital')} ({means.evidence.heading(f).lower()})"
            for f, (pairs, sites) in sorted(counts.items(), key=lambda item: item[1])
        ]
        return f"AUC over {start}, of each finding its own: from {ends[0]} to {ends[-1]}"
    n, sites = next(iter(counts.values()), _pairs_and_sites(code))
    return f"AUC over {plural(n, 'pair')} of cases {_PAIRS[code.name]}, {plural(sites, 'hospital')}"


def _pairs_and_sites(code: Code) -> tuple[int, int]:
    return int(str(code["n_pairs"])), int(str(code["n_sites"]))


def _mean_over_hospitals(row: Row) -> str:
    """Over which hospitals an AUC is a mean, and how many are not in it; "" of another AUC."""
    code = code_of(row, "mean_over_sites")
    if code is None:
        return ""
    out = {s for name in ("sites_excluded", "sites_one_class") for s in _named_sites(row, name)}
    n = int(str(code["n"]))
    if n == 1 and not out:
        return ""
    said = f"mean of the AUCs at {plural(n, 'hospital')}, each with the same weight" if n > 1 else "AUC at 1 hospital"
    left = f"; {plural(len(out), 'hospital')} with too few patients {'is' if len(out) == 1 else 'are'} not in it"
    return f"{said}{left if out else ''}"


def _named_sites(row: Row, name: str) -> tuple[str, ...]:
    sites = code["sites"] if (code := code_of(row, name)) else ()
    return tuple(map(str, sites)) if isinstance(sites, tuple) else (str(sites),)
