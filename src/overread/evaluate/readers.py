"""A model beside readers, under every reference and every way to take an uncertain call: points, rates, ROC, AUC."""

from __future__ import annotations

import numpy as np

from overread.evaluate.areas import Cases, auc_estimate
from overread.evaluate.config import UNCERTAIN
from overread.evaluate.fixed import GRID, curve_point
from overread.evaluate.progress import advancing
from overread.evaluate.read_setting import Reads, ReadSetting
from overread.evaluate.reader_points import below_rows, estimated_rows, point, reader_point_rows
from overread.evaluate.references import DAWID_SKENE
from overread.evaluate.rows import Row, noted, row
from overread.evaluate.side_by_side import Side, side_by_side, side_of
from overread.stats.pooled import matched_rates


def reader_rows(setting: ReadSetting) -> tuple[list[Row], list[Row]]:
    """Rows and curves of every scored finding, arm, policy of uncertain calls and reference."""
    rows: list[Row] = []
    curves: list[Row] = []
    for reads in advancing(every_reads(setting)):
        main = reads.policy == setting.config.uncertain_calls
        for reference in setting.panel.references:
            truth = setting.truth(reads, reference)
            if np.isnan(truth).all():
                continue
            side = side_of(setting, reads, reference, truth)
            rows += side_by_side(side)
            for rater in setting.panel.outputs[reads.finding]:
                rows.append(_area_row(side, rater))
                if main:
                    curves += _curve(side, rater)
            if main:
                rows += _one_by_one(side)
    return rows, curves


def _one_by_one(side: Side) -> list[Row]:
    """Every reader on their own, and how many of them lie below each output's curve."""
    own = {r: point(side, r) for r in range(len(side.setting.panel.readers))}
    rows = [made for r in own for made in reader_point_rows(side, r, own[r])]
    for rater in side.setting.panel.outputs[side.reads.finding]:
        rows += below_rows(side, rater, own)
    return rows + (estimated_rows(side) if side.reference == DAWID_SKENE else [])


def every_reads(setting: ReadSetting) -> list[Reads]:
    """The reads of every scored finding and arm; under the other policies only where a call changes."""
    made, config = [], setting.config
    for finding in (f for f in setting.panel.findings if setting.panel.outputs.get(f)):
        for arm in setting.panel.arms:
            main = setting.reads(finding, arm, config.uncertain_calls)
            if not main.index.size and not setting.reads(finding, arm, "present").index.size:
                continue
            made.append(main)
            for policy in (p for p in UNCERTAIN if p != config.uncertain_calls):
                other = setting.reads(finding, arm, policy)
                same = np.array_equal(other.index, main.index) and np.array_equal(other.call, main.call)
                made += [] if same or not other.index.size else [other]
    return made


def _area_row(side: Side, rater: str) -> Row:
    """The AUC on the read cases, weighted by reads."""
    setting, of = side.setting, side.pool
    place = setting.place(side.reads.finding, rater, reads=side.reads, reference=side.reference)
    weight = of.reads.sum(axis=0)
    even = bool((weight == weight[0]).all()) if weight.size else True
    score = setting.panel.score[side.reads.finding, rater][of.case]
    counts = setting.counts(of)
    made = auc_estimate(
        Cases(of.truth, score, of.patient, None, None if even else weight), counts, confidence=setting.config.confidence
    )
    words = "" if even else "a case weighs as often as it was read"
    return row(place, "auc", noted(made, words, side.note), counts=counts, test={"n_readers": side.n_readers},
               confidence=setting.config.confidence)  # fmt: skip


def _curve(side: Side, rater: str) -> list[Row]:
    """The ROC curve on the read cases, weighted by reads, with the band of the product bootstrap."""
    setting, of = side.setting, side.pool
    place = setting.place(side.reads.finding, rater, reads=side.reads, reference=side.reference)
    score = setting.panel.score[side.reads.finding, rater]
    value, draws = (
        matched_rates(of, score, w, specificity=np.tile(1 - GRID, (len(w), 1)), sensitivity=np.empty((len(w), 0)))[0]
        for w in side.weights
    )
    value = value[0]
    if np.isnan(value).all():
        return []
    edge, defined = (1 - setting.config.confidence) / 2, ~np.isnan(draws[:, 0])
    low, high = np.full(GRID.size, np.nan), np.full(GRID.size, np.nan)
    if defined.mean() >= 0.99:
        low, high = np.quantile(draws[defined], [edge, 1 - edge], axis=0)
    return [
        curve_point(place, "roc", i, (float(GRID[i]), float(value[i]), float(low[i]), float(high[i])))
        for i in range(GRID.size)
    ]
