"""Analysis of variance and variance components of a crossed reader study (Obuchowski and Rockette)."""

from __future__ import annotations

from math import isinf

import numpy as np

from overread import codes
from overread.codes import Metric
from overread.evaluation.arms.arm_studies import ArmStudy
from overread.evaluation.context.estimate_rows import Row, add_notes, row
from overread.evaluation.join.read_matching import READERS
from overread.stats.estimate import Estimate
from overread.stats.reader_studies.obuchowski_rockette import Components

ALL_ARMS = "all"  # level and arm of a row about all arms together


def variance_rows(study: ArmStudy) -> list[Row]:
    """Return the mean squares, the variance components and the F test of equal arms; none without such an analysis."""
    found = study.joint
    if found is None or not isinstance(found.components, Components) or len(study.reads.answers.arms) < 2:
        return []
    parts = found.components
    df1, df2 = found.df
    values: dict[Metric, float] = {
        Metric.MS_ARM: parts.ms_arm,
        Metric.MS_READER: parts.ms_reader,
        Metric.MS_ARM_READER: parts.ms_reader_by_arm,
        Metric.VAR_READER: parts.reader,
        Metric.VAR_ARM_READER: parts.reader_by_arm,
        Metric.COV1: parts.cov1,
        Metric.COV2: parts.cov2,
        Metric.COV3: parts.cov3,
        Metric.VAR_ERROR: parts.error,
        Metric.F_STATISTIC: found.f,
        Metric.DF_NUMERATOR: df1,
        Metric.DF_DENOMINATOR: np.nan if isinf(df2) else df2,
    }
    place = study.reads.place(READERS, ALL_ARMS)
    rows = []
    for metric, value in values.items():
        infinite = codes.note("infinite_df") if metric == Metric.DF_DENOMINATOR and isinf(df2) else codes.NONE
        undefined = codes.note("component_not_identified") if np.isnan(value) and not infinite else codes.NONE
        p = found.p if metric == Metric.F_STATISTIC else np.nan
        estimate = Estimate(float(value), p=p, method=found.method, note=codes.notes(infinite, undefined))
        noted = add_notes(estimate, found.note if metric == Metric.F_STATISTIC else codes.NONE, study.note)
        test = {"n_readers": study.n_readers, **study.classes}
        confidence = study.reads.context.config.confidence
        rows.append(row(place, metric, noted, at=study.at, counts=study.counts, test=test, confidence=confidence))
    return rows
