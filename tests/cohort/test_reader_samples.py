import numpy as np
import polars as pl
import pytest
from PIL import Image

from overread import evaluation as ev
from overread import runs, tables
from overread.cohort import CohortConfig, build
from overread.cohort.reader_samples import SampleConfig, _allocated, sample, select_cases
from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig
from overread.images.recipe.pixel_recipe import Recipe
from overread.stats import roc
from overread.tables import Source


def population(n=3000, seed=0):
    """Cases of two sites and views; mass in 3 %, effusion in 20 %, of which a mass is always the rarer."""
    rng = np.random.default_rng(seed)
    ids = [f"c{i:05d}" for i in range(n)]
    images = pl.DataFrame(
        {
            "image_id": ids,
            "patient_id": [f"p{i:05d}" for i in range(n)],
            "site": np.where(rng.random(n) < 0.7, "a", "b"),
            "split": "test",
            "view": np.where(rng.random(n) < 0.6, "PA", "AP"),
        }
    )
    labels = [
        pl.DataFrame(
            {
                "case_id": ids,
                "finding": f,
                "source": "report",
                "state": np.where(rng.random(n) < share, "present", "absent"),
            }
        )
        for f, share in (("mass", 0.03), ("pleural_effusion", 0.2))
    ]
    return tables.check(images, "images"), tables.check(pl.concat(labels), "labels")


def test_by_hand_on_six_cases():
    images = pl.DataFrame(
        {"image_id": list("abcdef"), "patient_id": list("abcdef"), "site": "s", "split": "test", "view": "PA"}
    )
    labels = pl.DataFrame(
        {"case_id": list("abcdef"), "finding": "mass", "source": "r", "state": ["present", "present"] + ["absent"] * 4}
    )
    made = select_cases(tables.check(images, "images"), tables.check(labels, "labels"), SampleConfig(n=4))
    assert made.strata.rows() == [("mass / s / PA", 2, 2, 1.0, 1.0), ("none present / s / PA", 4, 2, 0.5, 2.0)]
    assert made.images.filter(pl.col("stratum") == "mass / s / PA")["image_id"].to_list() == ["a", "b"]
    assert made.images["weight"].sum() == 6  # the population
    assert made.images["inclusion_probability"].to_list() == [1, 1, 0.5, 0.5]
    assert made.images["stratum_size"].to_list() == [2, 2, 4, 4]
    assert made.notes == ("4 of 6 cases drawn in 2 strata (finding, site, view)", "1 strata were sampled completely")


def test_the_rarest_finding_decides_and_weights_sum_to_the_strata():
    images, labels = population()
    made = select_cases(images, labels, SampleConfig(n=500, floor=20))
    assert made.images["case_id"].n_unique() == 500
    assert made.strata.height == 12
    assert (made.strata["drawn"] >= made.strata["size"].clip(upper_bound=20)).all()  # fewer are taken whole
    for stratum, total, size in (
        made.images.group_by("stratum").agg(pl.col("weight").sum(), pl.col("stratum_size").first()).rows()
    ):
        assert total == pytest.approx(size), stratum
    both = (
        labels.filter(pl.col("state").cast(pl.String) == "present").group_by("case_id").len().filter(pl.col("len") == 2)
    )
    drawn = made.images.join(both, on="case_id", how="semi")
    assert drawn.height
    assert drawn["stratum"].str.starts_with("mass").all()


def test_the_draw_hangs_on_the_seed_alone():
    images, labels = population()
    one = select_cases(images, labels, SampleConfig(n=300))
    other = select_cases(images.sample(fraction=1, shuffle=True, seed=1), labels.reverse(), SampleConfig(n=300))
    assert one.hash == other.hash
    assert set(one.images["case_id"]) == set(other.images["case_id"])
    assert select_cases(images, labels, SampleConfig(n=300, seed=1)).hash != one.hash


@pytest.mark.parametrize("allocation", ["proportional", "root", "equal"])
@pytest.mark.parametrize("n", [7, 50, 333, 999, 2000])
def test_allocations_sum_to_n_and_keep_floors_and_sizes(allocation, n):
    sizes = np.array([1, 2, 5, 40, 300, 652])
    drawn = _allocated(sizes, SampleConfig(n=n if n > 11 else 11, allocation=allocation))
    assert drawn.sum() == min(max(n, 11), 1000)
    assert (drawn <= sizes).all()
    assert (drawn >= np.minimum(sizes, 2)).all()


def test_equal_allocation_fills_the_small_strata_first():
    assert _allocated(np.array([10, 100, 1000]), SampleConfig(n=90, allocation="equal")).tolist() == [10, 40, 40]


def test_root_allocation_is_by_square_roots():
    assert _allocated(np.array([102, 402, 902]), SampleConfig(n=126, allocation="root")).tolist() == [22, 42, 62]


def test_combinations_without_a_case_are_counted():
    images, labels = population(200)
    only = images.with_columns(view=pl.when(pl.col("site") == "b").then(pl.lit("PA")).otherwise("view")).with_columns(
        pl.col("view").cast(images.schema["view"])
    )
    made = select_cases(only, labels, SampleConfig(n=50, by=("site", "view")))
    assert made.notes[-1] == "1 of 4 combinations of site, view hold no case"


def visits(n=800, seed=4):
    """The population with one to three cases of each patient."""
    images, labels = population(n, seed)
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n), rng.integers(1, 4, n))[:n]
    return images.with_columns(pl.Series("patient_id", patient).cast(pl.String)), labels


def test_one_case_of_each_patient_has_the_probability_of_both_stages():
    images, labels = visits()
    made = select_cases(images, labels, SampleConfig(n=150, one_per_patient=True))
    assert made.images["patient_id"].is_unique().all()
    assert made.images["case_id"].n_unique() == 150
    assert made.strata["size"].sum() == images["patient_id"].n_unique()
    cases = dict(images.group_by("patient_id").len().rows())
    size = dict(made.strata.select("stratum", pl.col("drawn") / pl.col("size")).rows())
    for row in made.images.iter_rows(named=True):
        assert row["inclusion_probability"] == pytest.approx(size[row["stratum"]] / cases[row["patient_id"]])
        assert row["weight"] == pytest.approx(1 / row["inclusion_probability"])
    assert made.notes[0].startswith("150 of ")
    assert "cases, one of each patient, drawn in" in made.notes[0]


@pytest.mark.slow
def test_totals_of_one_case_per_patient_are_unbiased():
    images, labels = visits()
    present = labels.filter(finding="pleural_effusion", state="present")["case_id"]
    totals = []
    for seed in range(300):
        made = select_cases(images, labels, SampleConfig(n=150, one_per_patient=True, seed=seed)).images
        totals.append((made["weight"].sum(), made.filter(pl.col("case_id").is_in(present.implode()))["weight"].sum()))
    error = np.std(totals, axis=0) / 300**0.5
    assert np.abs(np.mean(totals, axis=0) - [images.height, present.len()]) == pytest.approx(
        [0, 0], abs=3 * error.max()
    )


def test_images_of_a_case_share_its_weight():
    images, labels = population(400)
    second = images.head(50).with_columns(pl.col("image_id") + "-2", view=pl.lit("LATERAL").cast(images.schema["view"]))
    made = select_cases(pl.concat([images, second]), labels, SampleConfig(n=100))
    assert made.images.group_by("case_id").agg(pl.col("weight").n_unique())["weight"].max() == 1
    assert made.images["case_id"].n_unique() == 100
    assert any("+" in s for s in made.strata["stratum"])  # a case with two views is a stratum of its own


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 11}, r"at least 24 cases for 12 strata with a floor of 2; found n = 11"),
        ({"split": "tune"}, r"images of the split 'tune'; found none \(test\)"),
        ({"by": ("finding", "vew")}, "found 'vew'. Did you mean 'view'"),
        ({"label_source": "reprot"}, "found 'reprot'. Did you mean 'report'"),
    ],
)
def test_designs_that_cannot_be_drawn_are_said(change, message):
    images, labels = population(500)
    with pytest.raises(InputError, match=message):
        select_cases(images, labels, SampleConfig(**{"n": 100, **change}))


def test_several_label_sources_must_be_chosen_from():
    images, labels = population(500)
    both = pl.concat([labels, labels.with_columns(source=pl.lit("panel").cast(labels.schema["source"]))])
    with pytest.raises(InputError, match=r"the label source that strata are made by; found several \(panel, report\)"):
        select_cases(images, both, SampleConfig(n=100))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 0}, "sample.n"),
        ({"floor": 1}, "from 2"),
        ({"allocation": "equl"}, "Did you mean 'equal'"),
        ({"by": ()}, "none"),
    ],
)
def test_configurations_that_cannot_be_are_said(given, message):
    with pytest.raises(InputError, match=message):
        SampleConfig(**given)


@pytest.mark.slow
def test_weighted_estimates_meet_the_population_and_their_intervals_cover_it():
    """300 draws of 400 from 3,000: prevalence and AUC of the population, at 95 % within the simulation's error."""
    images, labels = population()
    rng = np.random.default_rng(5)
    state = dict(labels.filter(pl.col("finding") == "mass").select("case_id", pl.col("state").cast(pl.String)).rows())
    case = images["case_id"].to_list()
    y = np.array([state[c] == "present" for c in case])
    score = rng.normal(size=len(y)) + 1.2 * y
    place = {c: i for i, c in enumerate(case)}
    truth, prevalence, areas, covered = roc.auc(y, score).value, [], [], 0
    for seed in range(300):
        made = select_cases(images, labels, SampleConfig(n=400, floor=10, seed=seed)).images
        at = np.array([place[c] for c in made["case_id"]])
        weight = made["weight"].to_numpy()
        prevalence.append((weight * y[at]).sum() / weight.sum())
        found = roc.auc(y[at], score[at], weights=weight, strata=made["stratum"].to_numpy())
        areas.append(found.value)
        covered += found.low <= truth <= found.high
    assert np.mean(prevalence) == pytest.approx(y.mean(), abs=1e-9)  # strata are by this very finding: exact
    assert np.mean(areas) == pytest.approx(truth, abs=3 * np.std(areas) / 300**0.5)
    assert covered / 300 > 0.93  # above 0.95: the population is finite, and most of the rare cases are drawn


@pytest.mark.slow
def test_from_a_cohort_to_weighted_estimates(tmp_path):
    images, labels = population(300)
    images = images.with_columns(site=pl.lit("a"))  # an internal estimate is a mean over sites: here there is one
    rng = np.random.default_rng(1)
    for name in images["image_id"]:
        Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    source = Source(images.with_columns(path=pl.col("image_id") + ".png"), labels)
    cohort = build(source, tmp_path, tmp_path / "cohort", CohortConfig(recipe=Recipe(8), split_column="split"))
    made = sample(tmp_path / "cohort", tmp_path / "sample", SampleConfig(n=120))
    held = tables.read(tmp_path / "sample" / "images.parquet", "images")
    assert held.height == 120
    assert held["weight"].sum() == pytest.approx(cohort.images.height)
    assert runs.read(tmp_path / "sample")["notes"]["hash"] == made.hash
    flow = pl.read_parquet(tmp_path / "sample" / "flow.parquet").filter(site="", unit="images")
    assert flow.select("step", "reason", "count").rows() == [
        *cohort.flow.filter(pl.col("step") != "noted", site="", unit="images").select("step", "reason", "count").rows(),
        ("sample", "not drawn", 180),
        ("sample", "", 120),
    ]
    assert flow["step"][0] == "read"
    own = tables.read(tmp_path / "sample" / "labels.parquet", "labels")
    scores = pl.concat(
        pl.DataFrame(
            {
                "image_id": held["image_id"],
                "finding": f,
                "model": "m",
                "shift": "none",
                "score": rng.random(held.height),
            }
        )
        for f in ("mass", "pleural_effusion")
    )
    found = ev.evaluate(
        held, own, tables.check(scores, "predictions"), EvaluationConfig(replicates=100), rng=np.random.default_rng(0)
    ).estimates
    row = found.filter(pl.col("metric") == "auc", pl.col("finding") == "pleural_effusion", pl.col("subgroup") == "")
    truth = dict(own.filter(finding="pleural_effusion").select("case_id", pl.col("state").cast(pl.String)).rows())
    y = np.array([truth[c] == "present" for c in held["case_id"]])
    mine = scores.filter(finding="pleural_effusion")["score"].to_numpy()
    weighted = roc.auc(y, mine, weights=held["weight"].to_numpy()).value
    assert row["estimate"].to_list() == pytest.approx([weighted])
    assert weighted != pytest.approx(roc.auc(y, mine).value)
