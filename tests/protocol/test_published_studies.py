"""Six kinds of published study, from tables as they are published, in one command each."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import overread as ov
from overread.cli.application import app
from overread.errors import InputError

pytestmark = pytest.mark.slow

FEW = ["--set", "evaluation.replicates=100", "--set", "evaluation.minimum_present=5", "--workers", "1"]


def evaluated(folder: Path, *options: str) -> pl.DataFrame:
    """Run `overread evaluate` and return its estimates; the report is written too."""
    done = CliRunner().invoke(app, ["evaluate", *options, *FEW, "-o", str(folder / "out")])
    assert done.exit_code == 0, done.output
    assert (folder / "out" / "report" / "report.html").is_file()
    return pl.read_parquet(folder / "out" / "estimates.parquet")


def several(option: str, files: list[Path] | list[str]) -> list[str]:
    return [word for file in files for word in (option, str(file))]


def probabilities(rng: np.random.Generator, truth: np.ndarray, noise: float) -> np.ndarray:
    return 1 / (1 + np.exp(1.5 - 2 * truth - noise * rng.normal(size=truth.size)))


def calls(rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    return np.where(truth, rng.random(truth.size) < 0.75, rng.random(truth.size) < 0.1).astype(int)


def test_models_and_radiologists_with_one_file_each(tmp_path):
    """CheXpert: studies named by their path, one file per model and per radiologist, no table of images."""
    rng = np.random.default_rng(1)
    studies = [f"CheXpert-v1.0/test/patient{64741 + i}/study1" for i in range(80)]
    truth = {f: rng.random(80) < 0.3 for f in ("Cardiomegaly", "Edema")}
    pl.DataFrame({"Study": studies} | {f: t.astype(int) for f, t in truth.items()}).write_csv(tmp_path / "truth.csv")
    models, readers = [[tmp_path / f"{kind}{k}.csv" for k in range(2)] for kind in ("model", "bc")]
    for file in models:
        pl.DataFrame({"Study": studies} | {f: probabilities(rng, t, 1.0) for f, t in truth.items()}).write_csv(file)
    answers = {file: {f: calls(rng, t) for f, t in truth.items()} for file in readers}
    for file, answer in answers.items():
        pl.DataFrame({"Study": studies} | answer).write_csv(file)
    options = ["--labels", str(tmp_path / "truth.csv"), *several("--predictions", models), *several("--reads", readers)]
    rows = evaluated(tmp_path, *options)
    mine = rows.filter(analysis="readers", rater="bc1", metric="sensitivity", finding="edema", reference="truth", at="")
    by_hand = answers[readers[1]]["Edema"][truth["Edema"]].mean()
    assert mine["estimate"].to_list() == [pytest.approx(by_hand)]
    assert set(rows.filter(analysis="standalone")["rater"]) == {"model0", "model1"}


def test_boxes_of_three_readers_per_image(tmp_path):
    """VinDr-CXR: one row per box, three of many readers per image, classes of their own, no reference standard."""
    rng, rows = np.random.default_rng(2), []
    for i in range(120):
        present = rng.random() < 0.3
        for reader in rng.permutation(6)[:3]:
            if rng.random() < (0.8 if present else 0.1):
                rows.append((f"im{i}", "Aortic enlargement", 1.0, 2.0, 30.0, 40.0, f"R{reader}"))
            else:
                rows.append((f"im{i}", "No finding", None, None, None, None, f"R{reader}"))
    names = ["image_id", "class_name", "x_min", "y_min", "x_max", "y_max", "rad_id"]
    boxes = pl.DataFrame(rows, schema=names, orient="row")
    boxes.write_csv(tmp_path / "train.csv")
    found = evaluated(tmp_path, "--reads", str(tmp_path / "train.csv"), "--extra-findings", "Aortic enlargement")
    agreement = found.filter(analysis="agreement", metric="percent_agreement", finding="aortic_enlargement", at="")
    pairs = boxes.group_by("image_id").agg((pl.col("class_name") != "No finding").sum().alias("n"))["n"]
    alike = pairs.replace_strict({0: 3, 1: 1, 2: 1, 3: 3}, return_dtype=pl.Int64).sum() / (3 * 120)
    assert agreement["estimate"].to_list() == [pytest.approx(alike)]
    assert "auc" not in set(found["metric"])


def test_seeds_at_the_thresholds_of_the_paper(tmp_path):
    rng = np.random.default_rng(3)
    images = [f"{i:08d}_000.png" for i in range(150)]
    truth = rng.random(150) < 0.3
    table = {"Image Index": images, "Patient ID": [f"p{i}" for i in range(150)], "Mass": truth.astype(int)}
    pl.DataFrame(table).write_csv(tmp_path / "test.csv")
    files = [tmp_path / f"seed-{s}.csv" for s in range(1, 6)]
    scores = [probabilities(rng, truth, 1.0) for _ in files]
    for file, score in zip(files, scores, strict=True):
        pl.DataFrame({"Image Index": images, "Mass": score}).write_csv(file)
    thresholds = {"model": [f.stem for f in files], "name": "published", "Mass": [0.3, 0.35, 0.4, 0.45, 0.5]}
    pl.DataFrame(thresholds).write_csv(tmp_path / "thresholds.csv")
    members = ",".join(f'"{f.stem}"' for f in files)
    data = ["--images", str(tmp_path / "test.csv"), "--labels", str(tmp_path / "test.csv")]
    given = ["--thresholds", str(tmp_path / "thresholds.csv"), "--set", f"evaluation.members={{five=[{members}]}}"]
    rows = evaluated(tmp_path, *data, *several("--predictions", files), *given)
    at = pl.col("at") == "operating_point=published"
    own = rows.filter(at, analysis="standalone", metric="specificity", finding="mass").sort("rater")
    by_hand = [float((s[~truth] < t).mean()) for s, t in zip(scores, thresholds["Mass"], strict=True)]
    np.testing.assert_allclose(own["estimate"], by_hand)
    assert own["n_absent"].to_list() == [int((~truth).sum())] * 5  # nothing was spent on tuning
    spread = rows.filter(at, analysis="seeds", metric="specificity_sd", finding="mass", rater="five")
    assert spread["estimate"].to_list() == [pytest.approx(np.std(by_hand, ddof=1))]


def test_models_trained_on_different_shares_of_women(tmp_path):
    rng = np.random.default_rng(4)
    images, sex = [f"im{i}" for i in range(300)], np.tile(["F", "M"], 150)
    truth = rng.random(300) < 0.3
    table = {"image_id": images, "patient_id": images, "sex": sex, "Mass": truth.astype(int)}
    pl.DataFrame(table).write_csv(tmp_path / "test.csv")
    files = [tmp_path / f"women{share}.csv" for share in (0, 100)]
    for file, harder in zip(files, ("F", "M"), strict=True):
        pl.DataFrame(
            {"image_id": images, "Mass": probabilities(rng, truth, np.where(sex == harder, 2.0, 0.5))}
        ).write_csv(file)
    data = ["--images", str(tmp_path / "test.csv"), "--labels", str(tmp_path / "test.csv")]
    rows = evaluated(tmp_path, *data, *several("--predictions", files))
    keys = {"finding": "mass", "at": ""}
    signed = rows.filter(analysis="subgroups", metric="auc_difference", level="F", contrast="level:M", **keys)
    by_rater = dict(signed.select("rater", "estimate").rows())
    assert by_rater["women0"] < 0 < by_rater["women100"]
    contrast = rows.filter(metric="auc_difference_contrast", **keys).row(0, named=True)
    assert contrast["estimate"] == pytest.approx(by_rater["women0"] - by_rater["women100"])
    assert contrast["high"] < 0


def test_graded_reads_in_two_arms(tmp_path):
    rng = np.random.default_rng(5)
    truth, rows = rng.random(60) < 0.4, []
    for reader in range(4):
        for arm, gain in (("film", 1.0), ("film and computer", 1.6)):
            grades = np.clip(np.round(2.5 + gain * truth + rng.normal(size=60)), 1, 5)
            rows += [(f"r{reader}", arm, f"c{i}", g) for i, g in enumerate(grades)]
    reads = pl.DataFrame(rows, schema=["reader", "arm", "case", "Aortic dissection"], orient="row")
    reads.write_csv(tmp_path / "reads.csv")
    labels = pl.DataFrame({"case": [f"c{i}" for i in range(60)], "Aortic dissection": truth.astype(int)})
    labels.write_csv(tmp_path / "truth.csv")
    options = ["--reads", str(tmp_path / "reads.csv"), "--labels", str(tmp_path / "truth.csv")]
    own = ["--extra-findings", "Aortic dissection", "--baseline-arm", "film"]
    found = evaluated(tmp_path, *options, *own)
    row = found.filter(metric="auc_difference", rater="(readers)", contrast="arm:film").row(0, named=True)
    grades = reads.pivot("arm", index=["reader", "case"], values="Aortic dissection").sort("reader", "case")
    order = np.argsort([f"c{i}" for i in range(60)])
    scores = [grades[arm].to_numpy().reshape(4, 60) for arm in ("film and computer", "film")]
    study = ov.stats.compare_arms(truth[order], scores)
    assert (row["estimate"], row["low"], row["p"]) == pytest.approx(
        (study.difference.value, study.difference.low, study.difference.p)
    )


def test_the_one_table_of_a_reader_study_of_r(tmp_path):
    """MRMCaov's long form: reader, modality, case, truth and rating of one finding, in one file."""
    rng = np.random.default_rng(8)
    truth, rows = rng.random(50) < 0.4, []
    for reader in range(1, 5):
        for arm, gain in ((1, 1.0), (2, 1.6)):
            grades = np.clip(np.round(2.5 + gain * truth + rng.normal(size=50)), 1, 5).astype(int)
            rows += [(reader, arm, i + 1, int(truth[i]), g) for i, g in enumerate(grades)]
    table = pl.DataFrame(rows, schema=["reader", "treatment", "case", "truth", "rating"], orient="row")
    table.write_csv(tmp_path / "study.csv")
    file = str(tmp_path / "study.csv")
    own = ["--extra-findings", "Aortic dissection", "--finding", "Aortic dissection", "--baseline-arm", "1"]
    found = evaluated(tmp_path, "--reads", file, "--labels", file, *own)
    row = found.filter(metric="auc_difference", rater="(readers)", contrast="arm:1").row(0, named=True)
    scores = table.sort("treatment", "reader", "case")["rating"].to_numpy().reshape(2, 4, 50)[::-1]
    study = ov.stats.compare_arms(truth, scores)
    assert (row["finding"], row["arm"]) == ("aortic_dissection", "2")
    assert (row["estimate"], row["low"], row["p"]) == pytest.approx(
        (study.difference.value, study.difference.low, study.difference.p)
    )
    arrays = ov.read_arrays(file, file, finding="Aortic dissection", extra_findings="Aortic dissection")
    places = [int(case) - 1 for case in arrays.cases]
    np.testing.assert_array_equal(arrays.scores[::-1], scores[:, :, places])


def test_graded_reads_in_one_arm_lead_with_the_mean_auc(tmp_path):
    rng = np.random.default_rng(7)
    truth = rng.random(60) < 0.4
    rows = [
        (f"r{reader}", f"c{i}", grade)
        for reader in range(4)
        for i, grade in enumerate(np.clip(np.round(2.5 + 1.3 * truth + rng.normal(size=60)), 1, 5))
    ]
    pl.DataFrame(rows, schema=["reader", "case", "Pneumonia"], orient="row").write_csv(tmp_path / "reads.csv")
    labels = pl.DataFrame({"case": [f"c{i}" for i in range(60)], "Pneumonia": truth.astype(int)})
    labels.write_csv(tmp_path / "truth.csv")
    found = evaluated(tmp_path, "--reads", str(tmp_path / "reads.csv"), "--labels", str(tmp_path / "truth.csv"))
    mean = found.filter(metric="auc", rater="(readers)", contrast="").row(0, named=True)
    page = re.sub("<[^>]*>", "", (tmp_path / "out" / "report" / "report.html").read_text())
    interval = f"{mean['estimate']:.3f} (95% interval {mean['low']:.3f} to {mean['high']:.3f})"
    assert f"The mean AUC of 4 readers for pneumonia is {interval}." in page


def test_images_in_two_tables_are_one_set(tmp_path):
    rng, truth = np.random.default_rng(9), np.arange(80) % 3 == 0
    whole = pl.DataFrame(
        {"image_id": [f"im{i}" for i in range(80)], "patient_id": [f"p{i // 2}" for i in range(80)], "Mass": truth * 1}
    )
    parts = [tmp_path / "test.csv", tmp_path / "validation.csv"]
    for file, part in zip(parts, (whole[:40], whole[40:]), strict=True):
        part.write_csv(file)
    scores = whole.select("image_id").with_columns(Mass=pl.Series(probabilities(rng, truth, 1.0)))
    scores.write_csv(tmp_path / "acme.csv")
    labels = [word for file in parts for word in ("--labels", f"truth={file}")]
    apart = evaluated(tmp_path, *several("--images", parts), *labels, "--predictions", str(tmp_path / "acme.csv"))
    together = ov.evaluate(whole, {"truth": whole}, tmp_path / "acme.csv", replicates=100, minimum_present=5)
    auc = {"analysis": "standalone", "metric": "auc", "finding": "mass", "subgroup": "", "at": ""}
    numbers = ("estimate", "low", "high", "n_patients")
    assert apart.filter(**auc).select(numbers).rows() == together.estimates.filter(**auc).select(numbers).rows()
    with pytest.raises(InputError, match=r"test.csv, .*test.csv: expected one row per image_id"):
        ov.evaluate([parts[0], parts[0]], {"truth": whole}, tmp_path / "acme.csv")


def test_reads_of_a_primary_endpoint_that_no_vocabulary_names(tmp_path):
    rng = np.random.default_rng(6)
    images, truth = [f"{i:08d}_001.png" for i in range(90)], rng.random(90) < 0.4
    words = pl.DataFrame({"Image ID": images, "Patient ID": [i // 2 for i in range(90)], "Abnormal": truth})
    words.with_columns(pl.col("Abnormal").replace_strict({True: "YES", False: "NO"})).write_csv(tmp_path / "truth.csv")
    answers = np.array([calls(rng, truth) for _ in range(3)])
    table = {"Image ID": images * 3, "Reader ID": np.repeat(["a", "b", "c"], 90)}
    reads = pl.DataFrame(table | {"Abnormal": np.where(answers.ravel() == 1, "YES", "NO")})
    reads.write_csv(tmp_path / "reads.csv")
    data = several("--images", [tmp_path / "truth.csv"]) + several("--labels", [tmp_path / "truth.csv"])
    found = evaluated(tmp_path, *data, "--reads", str(tmp_path / "reads.csv"), "--extra-findings", "Abnormal")
    pooled = found.filter(rater="(readers)", metric="specificity", reference="truth", at="", analysis="readers")
    assert pooled["estimate"].to_list() == [pytest.approx(1 - answers[:, ~truth].mean())]
    assert pooled["n_patients"].to_list() == [45]
