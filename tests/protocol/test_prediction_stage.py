"""Predictions for plain image files: what is scored, what is listed, what is drawn, and what is refused."""

import json

import numpy as np
import polars as pl
import pytest
from model_files import record, write_model
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from overread import findings, runs, tables
from overread.errors import InputError
from overread.images.raster.file_content import read_bytes
from overread.images.store.decode_worker import read_image
from overread.protocol import overlays
from overread.protocol.prediction_stage import PredictionConfig, predict
from overread.training.networks.model_folder import open_model
from overread.training.scoring import score_parts

ONE = PredictionConfig(workers=0)
SOME = PredictionConfig(workers=1, max_unreadable=0.5)


def radiograph(seed):
    """A smooth picture of 16 bits with some structure, (96, 80)."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.random((6, 5)).astype(np.float32))
    return (np.asarray(small.resize((80, 96), Image.Resampling.BICUBIC)).clip(0, 1) * 60000).astype(np.uint16)


def write_dicom(path, pixels):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.Modality, file.PhotometricInterpretation = "DX", "MONOCHROME2"
    file.Rows, file.Columns = pixels.shape
    file.SamplesPerPixel, file.PixelRepresentation = 1, 0
    file.BitsAllocated, file.BitsStored, file.HighBit = 16, 16, 15
    file.PixelData = pixels.tobytes()
    file.save_as(path, enforce_file_format=True)


@pytest.fixture
def folder(tmp_path):
    """One radiograph as DICOM, 16-bit PNG, 8-bit JPEG and RGB PNG, in folders, and a table that is no image."""
    root = tmp_path / "images"
    (root / "ward b" / "Süd").mkdir(parents=True)
    grey = radiograph(1)
    eight = Image.fromarray((grey >> 8).astype(np.uint8))
    write_dicom(root / "scan", grey)
    Image.fromarray(grey).save(root / "deep.png")
    eight.save(root / "ward b" / "a.jpg", quality=95)
    eight.convert("RGB").save(root / "ward b" / "Süd" / "a.png")
    (root / "notes.csv").write_text("a,b\n")
    return root


IDS = ["deep.png", "scan", "ward b/Süd/a.png", "ward b/a.jpg"]


def test_every_kind_of_file_is_scored_under_its_relative_path(folder, tmp_path):
    model = open_model(write_model(tmp_path / "m"))
    made = predict(tmp_path / "m", folder, out=tmp_path / "p", config=ONE)
    assert made.frame["image_id"].unique().sort().to_list() == IDS
    assert set(made.frame["finding"].cast(pl.String)) == set(model.outputs)
    assert made.excluded.rows() == [("notes.csv", "not PNG, JPEG or DICOM: unknown data")]
    assert made.unreadable.is_empty()
    # The scores are those of the network on the pixels of the model's own recipe.
    pixels = np.stack([read_image(folder / name, model.recipe) for name in IDS])
    members = (score_parts.Member(model, score_parts.load_network(model), None),)
    logits, _ = score_parts.run_members(members, pixels)
    np.testing.assert_array_equal(
        made.frame.sort("image_id", "finding")["logit"].to_numpy().reshape(4, -1), logits[0].astype(np.float64)
    )
    table = pl.read_csv(tmp_path / "p/predictions.csv")
    assert table.columns == ["image_id", "finding", "model", "score"]
    assert table["score"].to_list() == made.frame["score"].to_list()
    run = runs.read(tmp_path / "p")
    assert set(run["outputs"]) == {"predictions.parquet", "predictions.csv", "unreadable.csv", "excluded.csv"}
    assert run["notes"]["excluded"] == 1
    assert not list((tmp_path / "p").glob(".partial-*"))


def test_image_files_are_scored_for_findings_of_the_models_own_vocabulary(folder, tmp_path):
    words = findings.stated({"extra": {"goitre": {"title": "Goitre"}}}, "p [findings]")
    frozen = {
        key: {"goitre" if f == "edema" else f: value for f, value in record()[key].items()}
        for key in ("recalibration", "operating_points")
    }
    names = ["cardiomegaly", "goitre", "nodule"]
    write_model(tmp_path / "m", findings=names, vocabulary=findings.record_of(words, full=True), **frozen)
    for _ in range(2):  # the second finds the result of the first
        made = predict(tmp_path / "m", folder / "deep.png", out=tmp_path / "p", config=ONE)
        assert set(made.frame["finding"].cast(pl.String)) == {"cardiomegaly", "goitre"}
    assert runs.vocabulary(tmp_path / "p") == words


def test_files_and_folders_may_be_given_together_and_nothing_need_be_written(folder, tmp_path):
    write_model(tmp_path / "m")
    made = predict(tmp_path / "m", [folder / "scan", folder / "ward b"], config=ONE)
    whole = predict(tmp_path / "m", str(folder), config=ONE)
    assert made.folder is None
    assert made.frame["image_id"].unique().sort().to_list() == IDS[1:]
    np.testing.assert_allclose(
        made.frame["logit"], whole.frame.filter(pl.col("image_id") != "deep.png")["logit"], rtol=1e-6
    )
    assert {p.name for p in tmp_path.iterdir()} == {"m", "images"}


@pytest.mark.slow
def test_a_corrupt_file_is_refused_or_listed_with_its_reason(folder, tmp_path):
    write_model(tmp_path / "m")
    whole = (folder / "deep.png").read_bytes()
    (folder / "torn.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.dcm").write_bytes(b"")
    with pytest.raises(InputError, match=r"2 of 6 \(33 %\) that cannot be used.*max_unreadable.*now 0") as refused:
        predict(tmp_path / "m", folder, out=tmp_path / "p", config=ONE)
    assert "torn.png" in str(refused.value)
    assert not (tmp_path / "p/predictions.parquet").exists()
    made = predict(tmp_path / "m", folder, out=tmp_path / "p", config=SOME)
    assert made.unreadable["path"].to_list() == ["empty.dcm", "torn.png"]
    assert made.unreadable["reason"][0] == "an empty file (0 bytes)"
    assert made.unreadable["reason"].str.len_chars().min() > 0
    assert made.frame["image_id"].unique().sort().to_list() == IDS
    listed = tables.load(tmp_path / "p/unreadable.csv").frame
    assert listed.select("path", "reason").rows() == made.unreadable.select("path", "reason").rows()


def test_overlays_are_those_of_the_findings_that_reach_the_frozen_threshold(folder, tmp_path):
    model = write_model(tmp_path / "m")
    plain = predict(model, folder, config=ONE).frame
    scores = plain.filter(finding="cardiomegaly")["score"].sort()
    points = {
        "cardiomegaly": {"sens90": {"threshold": 0.0}, "spec95": {"threshold": scores[2]}, "spec90": {}},
        "edema": {"spec90": {"threshold": None}},
        "nodule": {"spec90": {"threshold": 0.0}},
    }
    chosen = write_model(tmp_path / "n", operating_points=points | {"nodule": record()["operating_points"]["nodule"]})
    made = predict(chosen, folder, out=tmp_path / "p", heatmaps=True, config=ONE)
    called = plain.filter(pl.col("score") >= scores[2], pl.col("finding") == "cardiomegaly")["image_id"].sort()
    assert made.overlays["image_id"].to_list() == called.to_list()
    assert set(made.overlays["finding"]) == {"cardiomegaly"}
    names = {p.name for p in (tmp_path / "p/overlays").iterdir()}
    assert names == {file.removeprefix("overlays/") for file in made.overlays["file"]}
    assert all(name.isascii() and " " not in name for name in names)
    for file in made.overlays["file"]:
        picture = np.asarray(Image.open(tmp_path / "p" / file), dtype=int)
        assert picture.shape == (overlays.SIDE, overlays.SIDE, 3)
    assert {f"overlays/{name}" for name in names} <= set(runs.read(tmp_path / "p")["outputs"])
    assert (tmp_path / "p/heatmaps/part-00000.npy").is_file()


@pytest.mark.slow
def test_an_interrupted_prediction_goes_on_and_a_finished_one_is_not_done_again(folder, tmp_path, monkeypatch):
    write_model(tmp_path / "m")
    saved = Image.Image.save
    count = []

    def stop(self, path, *more):
        if str(path).endswith("part") or "overlays" in str(path):
            count.append(path)
            if len(count) == 3:
                raise KeyboardInterrupt
        return saved(self, path, *more)

    monkeypatch.setattr(Image.Image, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        predict(tmp_path / "m", folder, out=tmp_path / "p", heatmaps=True, config=ONE)
    assert len(list((tmp_path / "p").glob(".partial-*/overlays/*.png"))) == 2
    done = predict(tmp_path / "m", folder, out=tmp_path / "p", heatmaps=True, config=ONE)
    assert len(count) == 3 + done.overlays.height - 2
    whole = predict(tmp_path / "m", folder, out=tmp_path / "q", heatmaps=True, config=ONE)
    assert done.frame.equals(whole.frame)
    for file in whole.overlays["file"]:
        assert read_bytes(tmp_path / "p" / file) == read_bytes(tmp_path / "q" / file)
    before = runs.read(tmp_path / "p")
    again = predict(tmp_path / "m", folder, out=tmp_path / "p", heatmaps=True, config=ONE)
    assert again.frame.equals(whole.frame)
    assert again.overlays.equals(whole.overlays)
    assert runs.read(tmp_path / "p") == before
    (folder / "scan").rename(folder / "other")
    renamed = predict(tmp_path / "m", folder, out=tmp_path / "p", config=ONE)
    assert "other" in renamed.frame["image_id"].to_list()
    assert not (tmp_path / "p/overlays").exists()
    assert not (tmp_path / "p/overlays.csv").exists()


def test_sources_that_cannot_be_used_are_refused(folder, tmp_path):
    write_model(tmp_path / "m")
    empty = tmp_path / "empty"
    empty.mkdir()
    for source, more, message in (
        (empty, {}, "expected PNG, JPEG or DICOM files; found an empty folder"),
        (folder / "notes.csv", {}, "found none in 1 files"),
        (tmp_path / "none", {}, "expected a file or folder; found none there"),
        ([], {}, "expected a cohort, a folder, or files; found none"),
        (folder, {"out": folder / "p"}, "expected a folder outside"),
        (folder, {"heatmaps": True}, "expected a folder for heat maps; found none"),
        (folder, {"config": PredictionConfig(sites=("a",))}, "expected no sites for image files"),
    ):
        with pytest.raises(InputError) as refused:
            predict(tmp_path / "m", source, **more)
        assert message in str(refused.value)
    (folder / "link").symlink_to(tmp_path / "m")
    with pytest.raises(InputError, match=r"links out of it.*--allow-outside"):
        predict(tmp_path / "m", folder, config=ONE)
    outside = predict(tmp_path / "m", folder, config=PredictionConfig(workers=0, allow_outside=True))
    assert "link/model.json" in outside.excluded["path"].to_list()
    (tmp_path / "p/overlays").mkdir(parents=True)
    (tmp_path / "p/overlays/mine.txt").write_text("kept")
    (tmp_path / "p/run.json").write_text(json.dumps({"command": "predict", "status": "complete", "outputs": {}}))
    with pytest.raises(InputError):
        predict(
            tmp_path / "m",
            folder,
            out=tmp_path / "p",
            heatmaps=True,
            config=PredictionConfig(workers=0, allow_outside=True),
        )
    assert (tmp_path / "p/overlays/mine.txt").read_text() == "kept"
