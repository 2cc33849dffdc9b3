"""Write the reference estimates of the small studies, after a change that is meant to change them.

    python validation/equality_reference.py

It prints what is lost, new and different in each study, so that the change can be reviewed, and then replaces the files
in tests/reference/equality. The test compares other machines with a tolerance.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "evaluation"))

from small_studies import studies
from test_equality import COUNTS, KEY, NUMBERS, REFERENCE, machine

from overread.evaluation import EvaluationConfig, evaluate


def main() -> None:
    """Evaluate every small study, print the differences, and write the reference."""
    for name, study in studies().items():
        config = EvaluationConfig(**study.config)
        tables = {"reads": study.reads, "models": study.models}
        rng = np.random.default_rng(7)
        made = evaluate(study.images, study.labels, study.predictions, config, rng=rng, **tables).estimates
        made = made.select(pl.col(KEY).cast(pl.String), *NUMBERS, *COUNTS)
        known = pl.read_parquet(REFERENCE / f"{name}.parquet").with_columns(pl.col(KEY).cast(pl.String))
        both = known.join(made, on=KEY, suffix="_new", nulls_equal=True)
        print(f"{name}: {known.height - both.height} lost, {made.height - both.height} new, {both.height} in both")
        for column in (*NUMBERS, *COUNTS):
            differing = both.filter(pl.col(column).ne_missing(pl.col(f"{column}_new")))
            if differing.height:
                metrics = dict(differing["metric"].value_counts(sort=True).head(5).rows())
                print(f"  {column}: {differing.height} differ {metrics}")
        made.write_parquet(REFERENCE / f"{name}.parquet", compression="zstd", compression_level=19)
    (REFERENCE / "machine.json").write_text(json.dumps(machine(), indent=1) + "\n")


if __name__ == "__main__":
    main()
