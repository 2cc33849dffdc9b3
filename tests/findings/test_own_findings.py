"""A finding that the packaged vocabulary lacks, from the user's files through every stage to the report."""

import json

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

import overread as ov
from overread import findings, runs, tables
from overread.cli.application import app
from overread.cohort import open_cohort
from overread.errors import InputError
from overread.protocol import load

OWN = """
[findings.extra]
aortic_enlargement = { title = "Enlarged aorta", parents = ["enlarged_cardiomediastinum"], synonyms = ["Aorta"] }
"""
STUDY = """
[study]
title = "Aorta"
[sources.north]
reader = "table"
[sources.north.options]
images = "images.csv"
columns = { image_id = "image_id", patient_id = "patient_id", site = "site" }
labels = ["Aorta"]
[sites]
internal = ["a"]
external = ["b"]
[cohort]
stratify = ["aortic_enlargement"]
[training]
findings = ["aortic_enlargement"]
[models.pooled]
sites = ["a"]
[evaluation]
findings = ["aortic_enlargement"]
"""


def overread(*arguments):
    """What a command prints; its InputError is raised."""
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def files(tmp_path, monkeypatch):
    """120 images of 60 patients at two sites, the vendor's scores of the aorta and of masses, and a configuration."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    n = 120
    truth = rng.random((n, 2)) < 0.45
    ids = [f"{i:04d}" for i in range(n)]
    sites = ["a" if i // 2 % 2 else "b" for i in range(n)]
    images = pl.DataFrame({"image_id": ids, "patient_id": [f"p{i // 2}" for i in range(n)], "site": sites})
    images.write_csv("images.csv")
    keys = images.select("image_id")
    truths = keys.with_columns(pl.Series("Aorta", truth[:, 0].astype(int)), pl.Series("Mass", truth[:, 1].astype(int)))
    truths.write_csv("labels.csv")
    scores = 1 / (1 + np.exp(-(truth * 2.0 - 1 + rng.normal(size=(n, 2)))))
    keys.with_columns(pl.Series("Aorta", scores[:, 0]), pl.Series("Mass", scores[:, 1])).write_csv("acme.csv")
    (tmp_path / "c.toml").write_text(
        '[evaluation]\nfindings = ["aortic_enlargement", "mass"]\nreplicates = 100\n' + OWN
    )
    return tmp_path


@pytest.mark.slow
def test_a_finding_of_ones_own_goes_through_check_evaluate_and_report_with_its_title(files):
    assert "column 'Aorta': not used" in overread("check", "labels.csv", "--table", "labels")
    for file in ("labels.csv", "acme.csv"):
        assert "column 'Aorta': finding aortic_enlargement" in overread("check", file, "--config", "c.toml")
    assert "sections evaluation, findings, no problem found" in overread("check", "c.toml").replace("\n", " ")
    given = ["--images", "images.csv", "--labels", "labels.csv", "--predictions", "acme.csv", "--out", "out"]
    overread("evaluate", *given, "--config", "c.toml", "--workers", "1")
    estimates = pl.read_parquet("out/estimates.parquet")
    assert {"aortic_enlargement", "mass"} <= set(estimates["finding"])
    recorded = json.loads((files / "out/run.json").read_text())["config"]["vocabulary"]
    stated = findings.stated({"extra": {"aortic_enlargement": recorded["findings"]["aortic_enlargement"]}}, "c")
    assert (recorded["name"], recorded["hash"]) == ("chest, extended", stated.hash)
    assert "Enlarged aorta" in (files / "out/report/report.html").read_text()
    overread("report", "out", "--out", "again", "--workers", "1")
    assert "Enlarged aorta" in (files / "again/report.html").read_text()


WORDS = findings.stated({"extra": {"aortic_enlargement": {"title": "Aorta"}}}, "here")


@pytest.mark.slow
def test_evaluate_takes_a_vocabulary_by_keyword_or_in_its_configuration(files):
    given = {"findings": ["mass"], "replicates": 100}
    made = ov.evaluate("images.csv", "labels.csv", "acme.csv", vocabulary=WORDS, **given)
    assert {"aortic_enlargement", "mass"} <= set(made.estimates["finding"])
    assert made.config.vocabulary is WORDS
    labels = pl.read_csv("labels.csv", infer_schema=False)
    config = ov.EvaluationConfig(vocabulary=WORDS)
    again = ov.evaluate("images.csv", {"labels": labels}, "acme.csv", config=config, **given)
    assert again.estimates.equals(made.estimates)


def test_evaluate_refuses_what_is_no_vocabulary(files):
    with pytest.raises(InputError, match="evaluate: expected vocabulary: a Vocabulary; found 'chest'"):
        ov.evaluate("images.csv", "labels.csv", "acme.csv", vocabulary="chest")


def test_load_takes_a_vocabulary(files):
    labels = pl.read_csv("labels.csv", infer_schema=False)
    pl.read_csv("images.csv", infer_schema=False).join(labels, on="image_id").write_csv("whole.csv")
    columns = {name: name for name in ("image_id", "patient_id", "site")}
    options = {"images": "whole.csv", "columns": columns, "labels": ["Aorta"]}
    source = ov.load("table", ".", vocabulary=WORDS, **options)
    assert set(source.labels["finding"]) == {"aortic_enlargement"}
    assert source.vocabulary is WORDS
    with pytest.raises(InputError, match="Aorta"):
        ov.load("table", ".", **options)


def test_without_the_section_the_finding_is_refused(files):
    (files / "bare.toml").write_text('[evaluation]\nfindings = ["aortic_enlargement"]\n')
    with pytest.raises(InputError, match=r"expected names of the vocabulary; found 'aortic_enlargement'"):
        overread("check", "bare.toml")


def test_a_section_that_is_wrong_is_refused_by_check_and_by_the_protocol(files):
    wrong = '[findings.extra]\nmass = { title = "Mass" }\n'
    for text, read in (("[cohort]\n" + wrong, lambda f: overread("check", f)), (STUDY + wrong, load)):
        (files / "wrong.toml").write_text(text)
        with pytest.raises(InputError, match=r"wrong.toml \[findings\], extra: expected names that"):
            read("wrong.toml")


def test_a_section_that_stands_alone_may_have_findings_beside_it(files):
    (files / "alone.toml").write_text('findings = ["mass"]\nreplicates = 100\n')
    assert "section evaluation, no problem found" in overread("check", "alone.toml").replace("\n", " ")


@pytest.mark.slow
def test_a_cohort_keeps_its_vocabulary_and_labels_imply_its_parents(files):
    rng = np.random.default_rng(0)
    for name in pl.read_csv("images.csv", infer_schema=False)["image_id"]:
        Image.fromarray(rng.integers(0, 255, (32, 32), dtype=np.uint8)).save(files / f"{name}.png")
    images = pl.read_csv("images.csv", infer_schema=False)
    images.with_columns(path=pl.format("{}.png", "image_id")).write_csv("paths.csv")
    labels = pl.read_csv("labels.csv", infer_schema=False)
    labels.with_columns(pl.lit("0").alias("Enlarged Cardiomediastinum")).write_csv("states.csv")
    (files / "k.toml").write_text('[cohort]\nstratify = ["aortic_enlargement"]\nrecipe = { size = 32 }\n' + OWN)
    given = ["--root", ".", "--images", "paths.csv", "--labels", "states.csv", "--config", "k.toml", "--out", "k"]
    overread("cohort", *given, "--workers", "1")
    made = open_cohort("k")
    assert made.vocabulary.title("aortic_enlargement") == "Enlarged aorta"
    wide = made.labels.pivot(on="finding", index="case_id", values="state")
    assert (wide["aortic_enlargement"] == wide["enlarged_cardiomediastinum"]).all()
    assert runs.vocabulary("k") == made.vocabulary
    pl.read_csv("paths.csv", infer_schema=False).join(labels, on="image_id").write_csv("whole.csv")
    columns = {name: name for name in ("image_id", "patient_id", "site", "path")}
    options = {"images": "whole.csv", "columns": columns, "labels": ["Aorta"]}
    built = ov.load("table", ".", vocabulary=made.vocabulary, **options).build("b", recipe={"size": 32})
    assert built.vocabulary == made.vocabulary
    ov.splits(built, "splits")
    assert runs.vocabulary("splits") == made.vocabulary
    ov.sample(built, "sample", ov.SampleConfig(n=10, floor=2))
    drawn = tables.read("sample/labels.parquet", "labels", vocabulary=runs.vocabulary("sample"))
    assert "aortic_enlargement" in set(drawn["finding"])


def test_a_protocol_states_findings_of_its_own(files):
    (files / "study.toml").write_text(STUDY + OWN)
    stated = load("study.toml")
    assert stated.findings.names()[-1] == "aortic_enlargement"
    assert stated.evaluation.vocabulary is stated.training.vocabulary is stated.cohort.vocabulary is stated.findings
    assert stated.resolved()["findings"]["hash"] == stated.findings.hash
    (files / "other.toml").write_text((STUDY + OWN).replace("Enlarged aorta", "Aorta enlarged"))
    assert load("other.toml").hash != stated.hash


def test_a_protocol_may_name_a_file_beside_it(files):
    (files / "sub").mkdir()
    (files / "sub/words.toml").write_text('[aortic_enlargement]\ntitle = "Aorta"\n')
    (files / "sub/study.toml").write_text(STUDY + '[findings]\nvocabulary = "words.toml"\n')
    assert load("sub/study.toml").findings.names() == ("aortic_enlargement",)
