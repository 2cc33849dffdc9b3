"""Mean and standard deviation over training seeds, beside an ensemble and without one."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from overread import evaluation as ev
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig

pytestmark = pytest.mark.slow
SEEDS = tuple(f"acme/seed-{k}" for k in (1, 2, 3))
SPEC90 = "operating_point=spec90"


def evaluated(made, raters, **options):
    m = made(raters=dict.fromkeys(raters, 1.4), sites={"": 200})
    config = EvaluationConfig(**({"replicates": 100, "members": {"acme": SEEDS}, "subgroups": ("sex",)} | options))
    return ev.evaluate(m.images, m.labels, m.predictions, config, rng=np.random.default_rng(1)).estimates


def test_every_headline_has_mean_and_sample_deviation_beside_the_ensemble(made):
    e = evaluated(made, ("acme", *SEEDS))
    assert set(e.filter(analysis="standalone")["rater"]) == {"acme"}
    seeds = e.filter(analysis="seeds")
    for metric, at, finding in (("auc", "", "edema"), ("auc", "", "(mean)"), ("sensitivity", SPEC90, "mass"),
                                ("specificity", SPEC90, "(mean)"), ("underdiagnosis", SPEC90, "")):  # fmt: skip
        rows = seeds.filter(metric=metric, at=at, finding=finding, subgroup="", contrast="")
        own = rows.filter(pl.col("rater").is_in(SEEDS))["estimate"].to_numpy()
        assert own.size == 3
        assert rows.filter(rater="acme")["estimate"].item() == pytest.approx(own.mean())
        spread = seeds.filter(metric=f"{metric}_sd", at=at, finding=finding, subgroup="")
        assert spread["estimate"].item() == pytest.approx(np.std(own, ddof=1))
        assert f"3 of 3 seeds, from {own.min():.4f} to {own.max():.4f}" in spread["note"].item()
    signed = seeds.filter(metric="auc_difference", finding="(mean)", subgroup="sex", level="F")
    own = signed.filter(pl.col("rater").is_in(SEEDS))["estimate"].to_numpy()
    assert signed.filter(rater="acme")["estimate"].item() == pytest.approx(own.mean())
    assert seeds.filter(metric="auc_difference_sd", finding="(mean)")["estimate"].item() == pytest.approx(
        own.std(ddof=1)
    )


def test_seeds_without_an_ensemble_are_raters_and_have_mean_and_deviation(made):
    e = evaluated(made, SEEDS)
    own = e.filter(analysis="standalone", metric="auc", finding="edema", at="", subgroup="").select("rater", "estimate")
    assert set(own["rater"]) == set(SEEDS)
    mean = e.filter(analysis="seeds", metric="auc", finding="edema", rater="acme")
    assert mean["estimate"].item() == pytest.approx(own["estimate"].mean())
    spread = e.filter(analysis="seeds", metric="auc_sd", finding="edema")
    assert spread["estimate"].item() == pytest.approx(own["estimate"].std())
    assert not e["metric"].cast(pl.String).str.ends_with("_contrast").any()


def test_one_seed_has_no_deviation(made):
    e = evaluated(made, SEEDS[:1], members={"acme": SEEDS[:1]})
    spread = e.filter(analysis="seeds", metric="auc_sd", finding="edema")
    assert np.isnan(spread["estimate"].item())
    assert spread["note"].item() == "NE: one seed only"


def test_means_over_seeds_of_two_variants_are_contrasted(made):
    """0 % against 100 % female training: the difference of the mean differences."""
    names = [f"{v}/seed-{k}" for v in ("none", "all") for k in (1, 2)]
    e = evaluated(made, names, members={v: tuple(n for n in names if n.startswith(v)) for v in ("none", "all")})
    seeds = e.filter(analysis="seeds", finding="(mean)", subgroup="sex")
    row = seeds.filter(metric="auc_difference_contrast").row(0, named=True)
    means = {r: seeds.filter(metric="auc_difference", rater=r)["estimate"].item() for r in ("none", "all")}
    assert (row["rater"], row["contrast"], row["level"]) == ("none", "rater:all", "F − M")
    assert row["estimate"] == pytest.approx(means["none"] - means["all"])
    assert row["low"] < row["estimate"] < row["high"]


def test_an_ensemble_of_members_is_the_baseline_of_the_means_over_seeds(made):
    names = [f"{v}/seed-{k}" for v in ("none", "all") for k in (1, 2)]
    members = {v: tuple(n for n in names if n.startswith(v)) for v in ("none", "all")}
    e = evaluated(made, names, members=members, baseline_model="none")
    rows = e.filter(analysis="seeds", metric="auc_difference_contrast", finding="(mean)")
    assert rows.select("rater", "contrast").rows() == [("all", "rater:none")]
    assert "compared with the baseline model none" in rows["note"].item()
    with pytest.raises(
        InputError, match="one of the models none/seed-1, none/seed-2, all/seed-1, all/seed-2, none, all"
    ):
        evaluated(made, names, members=members, baseline_model="nones")
