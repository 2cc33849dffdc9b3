"""A child present implies its parent present: labels of one source made to agree with the vocabulary's hierarchy."""

from __future__ import annotations

import polars as pl

from overread.findings import Vocabulary

_KEY = ["case_id", "finding", "source"]


def with_parents(
    labels: pl.DataFrame, images: pl.DataFrame, *, vocabulary: Vocabulary
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The labels with the ancestors of what is present made present, and the case_ids of those that were changed.

    Only ancestors that the same source states at the same site at all are touched: a source without a word for the
    parent says nothing of it, and a parent that is only ever implied would be a finding that is never absent.
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
