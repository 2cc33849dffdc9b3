"""Consistency of labels with the hierarchy of findings: a present child implies a present parent."""

from __future__ import annotations

import polars as pl

from overread.findings import Vocabulary

_KEY = ["case_id", "finding", "source"]


def with_parents(
    labels: pl.DataFrame, images: pl.DataFrame, *, vocabulary: Vocabulary
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Set the ancestors of present findings to present.

    Parameters
    ----------
    labels : DataFrame
        Table of labels.
    images : DataFrame
        Table of images, for the site of each case.
    vocabulary : Vocabulary
        Findings and their hierarchy.

    Returns
    -------
    labels : DataFrame
        The labels with implied findings.
    changed : DataFrame
        case_id of the cases whose labels were changed.

    Notes
    -----
    Only ancestors that the same source states at the same site for some case are changed: for a source that never
    states the parent, a parent that is only implied would be a finding that is never absent.
    """
    ancestors = pl.DataFrame(
        [(f, a) for f in vocabulary.names() for a in vocabulary.implied([f]) if a != f],
        schema={"finding": pl.String, "ancestor": pl.String},
        orient="row",
    )
    placed = labels.join(images.select("case_id", "site").unique(), on="case_id")
    stated = placed.select("site", "source", "finding").unique()
    implied = (
        placed.filter(pl.col("state").cast(pl.String) == "present")
        .join(ancestors, on="finding")
        .select("case_id", "site", "source", pl.col("ancestor").alias("finding"))
        .unique()
        .join(stated, on=["site", "source", "finding"], how="semi")
        .select(*_KEY, pl.lit("present").cast(labels.schema["state"]).alias("state"))
    )
    changed = implied.join(labels, on=[*_KEY, "state"], how="anti")
    kept = labels.join(changed, on=_KEY, how="anti")
    return pl.concat([kept, changed.select(labels.columns)]), changed.select("case_id").unique()
