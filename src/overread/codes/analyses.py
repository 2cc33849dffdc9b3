"""The analyses of the estimates table."""

from __future__ import annotations

from enum import StrEnum


class Analysis(StrEnum):
    """What an estimate is a part of: the column `analysis` of the estimates table."""

    STANDALONE = "standalone"  # one rater in one population: discrimination, operating points, calibration
    COMPARISON = "comparison"  # pairs of raters on the same cases
    SUBGROUPS = "subgroups"  # groups of a column, and the gaps between them
    DROP = "drop"  # internal minus external AUC
    SITE_ALONE = "site_alone"  # site-only baseline
    MATRIX = "matrix"  # training sites by test sites
    SEEDS = "seeds"  # training runs of one model
    DECISION = "decision"  # net benefit
    POLICIES = "policies"  # other label sources, other handling of uncertain labels
    READERS = "readers"  # models and readers on the read cases
    AGREEMENT = "agreement"  # among readers, and between readers and models
    H1 = "H1"  # pooled against single-institution training
    H2 = "H2"  # the drop in AUC under other reference standards
