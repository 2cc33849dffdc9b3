"""Sensitivity at a fixed specificity, the reverse, and the ROC curve with its band; thresholds re-chosen per draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from overread.evaluate.areas import FEWEST
from overread.evaluate.macro import evaluable_reaches
from overread.evaluate.panel import Floats
from overread.evaluate.populations import Population
from overread.evaluate.progress import advancing
from overread.evaluate.resample import STEP, Spot, rate_replicates, whole
from overread.evaluate.rows import MEAN, Place, Row, noted, people, row, share_text
from overread.evaluate.setting import Reach, Setting, macro_note, population_counts, reach
from overread.stats.bootstrap import percentile_interval
from overread.stats.estimate import Estimate

# Where the ROC curve is drawn: every half per cent up to 10 % false alarms, where screening works, then every per cent.
GRID = np.unique(np.concatenate([np.linspace(0, 0.1, 21), np.linspace(0, 1, 101)]).round(6))
_RULE = "attainable step on the test ROC, threshold re-chosen in every patient resample"


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Rates of one finding: the estimates (k,) and the same in every draw (replicates, k)."""

    value: Floats
    draws: Floats


def fixed_rates(setting: Setting) -> tuple[list[Row], list[Row]]:
    """Rows of the rates at every fixed rate, and the points of the ROC curves, for every rater and population."""
    rows: list[Row] = []
    curves: list[Row] = []
    for rater in advancing(setting.raters):
        for population in advancing(setting.populations[rater]):
            reaches = {
                f: r
                for f in setting.panel.findings
                if setting.panel.gives(rater, f) and (r := reach(setting, rater, f, population)).sites
            }
            grid = [*setting.config.specificities, *(1 - GRID)]
            directions = advancing(("forward", "backward"), (20.0, 1.0))
            next(directions)
            forward = _rates(setting, rater, reaches, grid, reverse=False)
            next(directions)
            backward = _rates(setting, rater, reaches, setting.config.sensitivities, reverse=True)
            next(directions, None)
            rows += _rows(setting, rater, population, reaches, (forward, backward))
            first = len(setting.config.specificities)
            for finding, made in forward.items():
                place = setting.place("standalone", finding, rater, population)
                curves += _curve(setting, place, Rates(made.value[first:], made.draws[:, first:]))
    return rows, curves


def _rates(
    setting: Setting, rater: str, reaches: dict[str, Reach], grid: Sequence[float], *, reverse: bool
) -> dict[str, Rates]:
    """By finding: the rate at each fixed rate, the mean over the sites of the finding's reach."""
    masks = {s: setting.panel.at([s]) for s in setting.panel.site.levels}
    owners = [(f, s) for f, r in reaches.items() for s in r.sites]
    spots = [Spot(rater, f, masks[s]) for f, s in owners]
    if not spots or not len(grid):
        return {}
    value = rate_replicates(setting.panel, whole(setting.panel), spots, grid, reverse=reverse)[0]
    steps = [spots[a : a + STEP] for a in range(0, len(spots), STEP)]
    draws = np.concatenate(
        [rate_replicates(setting.panel, setting.drawn, s, grid, reverse=reverse) for s in advancing(steps)], axis=1
    )
    made = {}
    for finding in reaches:
        mine = [i for i, (f, _) in enumerate(owners) if f == finding]
        made[finding] = Rates(value[mine].mean(axis=0), draws[:, mine].mean(axis=1))
    return made


def _rows(
    setting: Setting,
    rater: str,
    population: Population,
    reaches: dict[str, Reach],
    both: tuple[dict[str, Rates], dict[str, Rates]],
) -> list[Row]:
    rows: list[Row] = []
    confidence = setting.config.confidence
    macro = list(evaluable_reaches(setting, rater, population))
    for metric, fixed, rates, targets in (
        ("sensitivity_at_specificity", "specificity", both[0], setting.config.specificities),
        ("specificity_at_sensitivity", "sensitivity", both[1], setting.config.sensitivities),
    ):
        for k, target in enumerate(targets):
            at = f"{fixed}={share_text(target)}"
            for finding, made in rates.items():
                place = setting.place("standalone", finding, rater, population)
                counts = population_counts(setting, rater, finding, population)
                estimate = percentile_interval(made.draws[:, k], value=float(made.value[k]), confidence=confidence)
                estimate = _few(estimate, counts.patients_present, counts.patients_absent)
                note = reaches[finding].note
                rows.append(row(place, metric, noted(estimate, note), at=at, counts=counts, confidence=confidence))
            place = setting.place("standalone", MEAN, rater, population)
            used = [f for f in macro if f in rates]
            estimate = Estimate(np.nan)
            if used:
                draws = np.mean([rates[f].draws[:, k] for f in used], axis=0)
                value = float(np.mean([rates[f].value[k] for f in used]))
                estimate = percentile_interval(draws, value=value, confidence=confidence)
            made_row = row(
                place, metric, noted(estimate, _RULE, macro_note(setting, used)), at=at, confidence=confidence
            )
            rows.append(made_row)
    return rows


def _few(estimate: Estimate, present: int, absent: int) -> Estimate:
    """Without an interval where fewer than ten patients are of a class."""
    made = Estimate(
        estimate.value,
        estimate.low,
        estimate.high,
        estimate.se,
        method=f"{_RULE}; {estimate.method}",
        note=estimate.note,
    )
    if np.isnan(made.value):
        return Estimate(np.nan, method=made.method, note="one class only")
    if min(present, absent) >= FEWEST:
        return made
    note = f"no interval: {people(present)} with the finding and {absent} without it, at least {FEWEST} of each needed"
    return Estimate(made.value, method=made.method, note=note)


def _curve(setting: Setting, place: Place, made: Rates) -> list[Row]:
    """The points of an ROC curve with the pointwise percentile band; none where a class is missing."""
    if np.isnan(made.value).all():
        return []
    edge = (1 - setting.config.confidence) / 2
    defined = ~np.isnan(made.draws[:, 0])
    low, high = np.full(GRID.size, np.nan), np.full(GRID.size, np.nan)
    if defined.mean() >= 0.99:
        low, high = np.quantile(made.draws[defined], [edge, 1 - edge], axis=0)
    return [
        curve_point(place, "roc", i, (float(GRID[i]), float(made.value[i]), float(low[i]), float(high[i])))
        for i in range(GRID.size)
    ]


def curve_point(place: Place, curve: str, order: int, point: tuple[float, float, float, float], at: str = "") -> Row:
    """One row of curves: (x, y, low, high)."""
    made: dict[str, Any] = {
        "curve": curve, "at": at, "finding": place.finding, "rater": place.rater, "arm": place.arm,
        "population": place.population, "subgroup": place.subgroup, "level": place.level,
        "reference": place.reference, "policy": place.policy, "order": order,
    }  # fmt: skip
    return made | dict(zip(("x", "y", "low", "high"), point, strict=True))
