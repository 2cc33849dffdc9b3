import json
from pathlib import Path

import numpy as np
import polars as pl
import pydicom
import pytest
from PIL import Image

from overread import simulation
from overread.errors import InputError
from overread.simulation.multisite import _render

pytestmark = pytest.mark.slow

COUNTS = {"alder": 3, "birch": 4, "elm": 2}


def build(out: Path, **options):
    return simulation.hospitals(out, **({"images_per_site": COUNTS, "size": 64, "seed": 5} | options))


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("hospitals")
    return out, build(out)


def test_tables_say_what_is_on_disk(made):
    out, source = made
    assert source.images.group_by("site").len().sort("site").rows() == sorted(COUNTS.items())
    assert source.images["image_id"].n_unique() == 9
    for path, rows in source.images.select("path", "rows").iter_rows():
        assert (out / path).is_file()
        assert rows == 64
    assert not list(out.rglob("*.tmp*"))
    png = Image.open(out / source.images.filter(pl.col("site") == "alder")["path"][0])
    assert (png.mode, png.size) == ("L", (64, 64))


def test_labels_state_report_and_truth(made):
    _, source = made
    labels = source.labels.with_columns(pl.col("finding").cast(pl.String), pl.col("source").cast(pl.String))
    truth = labels.filter(pl.col("source") == "truth")
    assert len(truth) == 9 * 10
    known = truth.filter(pl.col("finding") != "no_finding")
    assert (known["severity"] > 0).to_list() == (known["state"].cast(pl.String) == "present").to_list()
    birch = labels.filter((pl.col("source") == "report") & pl.col("case_id").str.starts_with("birch"))
    assert "fibrosis" not in birch["finding"].to_list()
    for case, state in truth.filter(pl.col("finding") == "no_finding").select("case_id", "state").iter_rows():
        sick = known.filter((pl.col("case_id") == case) & (pl.col("severity") > 0))
        assert (state == "present") == (len(sick) == 0)


def test_regions_belong_to_present_findings_inside_the_picture(made):
    _, source = made
    regions = source.regions.with_columns(pl.col("finding").cast(pl.String))
    assert len(regions) > 5
    truth = source.labels.filter((pl.col("source").cast(pl.String) == "truth") & (pl.col("severity") > 0))
    stated = set(truth.select("case_id", pl.col("finding").cast(pl.String)).iter_rows())
    assert set(regions.select("image_id", "finding").iter_rows()) <= stated
    assert regions.select((pl.col("x") + pl.col("width")).max()).item() <= 64
    assert regions["y"].min() >= 0


def test_dicom_is_what_a_digital_system_writes(made):
    out, source = made
    row = source.images.filter(pl.col("site") == "birch").row(0, named=True)
    ds = pydicom.dcmread(out / row["path"])
    assert ds.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert ds.SOPClassUID.name.startswith("Digital X-Ray Image Storage - For Presentation")
    assert (ds.PhotometricInterpretation, ds.BitsStored, ds.BitsAllocated) == ("MONOCHROME1", 12, 16)
    assert (ds.PatientID, ds.PatientSex, ds.ViewPosition) == (row["patient_id"], row["sex"], row["view"])
    assert ds.PatientAge == f"{int(row['age_years']):03d}Y"
    assert (ds.Manufacturer, ds.ManufacturerModelName) == (row["manufacturer"], row["device"])
    assert ds.StudyDate == row["acquired"].strftime("%Y%m%d")
    assert float(ds.ImagerPixelSpacing[0]) == pytest.approx(row["pixel_mm"])
    stored = ds.pixel_array
    assert stored.max() < 4096
    assert stored[:3].mean() > stored[40:60, 25:40].mean()  # air is the highest value, hence dark


def test_dicom_and_png_show_the_same_picture():
    from overread.simulation.patient_visits import visits
    from overread.simulation.radiograph_files import CENTER, WIDTH, dataset
    from overread.simulation.sites import SITES

    visit = visits(SITES[1], 1, label_noise=1.0, rng=np.random.default_rng(0))[0]
    picture = simulation.radiograph(visit.patient, size=64, rng=np.random.default_rng(1), acquisition=visit.acquisition)
    stored = dataset(picture, visit).pixel_array.astype(float)
    shown = 1.0 - ((stored - (CENTER - 0.5)) / (WIDTH - 1) + 0.5)  # MONOCHROME1 after the linear window
    assert np.abs(np.round(shown * 255) - picture.pixels).max() <= 1


def test_two_workers_write_what_one_writes(made, tmp_path):
    out, source = made
    parallel = build(tmp_path / "parallel", workers=2)
    assert contents(tmp_path / "parallel") == contents(out)
    assert parallel.images.equals(source.images)
    assert parallel.regions.equals(source.regions)


def test_an_interrupted_run_is_completed_without_rendering_twice(made, tmp_path, monkeypatch):
    out, source = made
    part = tmp_path / "part"
    rendered = []

    def stop_after_four(job, folder, size):
        if len(rendered) == 4:
            raise KeyboardInterrupt
        rendered.append(job.path)
        _render(job, folder, size)

    monkeypatch.setattr("overread.simulation.multisite._render", stop_after_four)
    with pytest.raises(KeyboardInterrupt):
        build(part)
    monkeypatch.undo()
    before = {path: (part / path).stat().st_mtime_ns for path in rendered}
    told = []
    resumed = build(part, progress=lambda done, total: told.append((done, total)))
    assert told == [(k, 9) for k in range(5, 10)]
    assert {path: (part / path).stat().st_mtime_ns for path in rendered} == before
    assert contents(part) == contents(out)
    assert resumed.labels.equals(source.labels)


def test_findings_choose_what_is_stated_not_what_is_there(made, tmp_path):
    out, _ = made
    few = build(tmp_path / "few", findings=("edema", "mass"))
    assert set(few.labels["finding"].cast(pl.String)) == {"edema", "mass"}
    first = "alder/alder-0001-1.png"
    assert (tmp_path / "few" / first).read_bytes() == (out / first).read_bytes()


def test_no_differences_and_no_noise(tmp_path):
    same = build(tmp_path, site_differences=0.0, label_noise=0.0)
    assert same.images["device"].n_unique() == 1
    wide = same.labels.with_columns(pl.col("source").cast(pl.String), pl.col("state").cast(pl.String)).pivot(
        "source", index=["case_id", "finding"], values="state"
    )
    assert (wide["report"] == wide["truth"]).all()


def test_a_folder_of_another_simulation_is_refused(made):
    out, _ = made
    before = contents(out)
    with pytest.raises(InputError, match="seed: 5 there, 6 asked"):
        build(out, seed=6)
    assert contents(out) == before
    assert json.loads((out / "simulation.json").read_text())["seed"] == 5


def test_unknown_sites_and_findings_are_named_together(tmp_path):
    with pytest.raises(InputError) as caught:
        simulation.hospitals(
            tmp_path / "x", images_per_site={"adler": 3, "elm": 0}, size=64, seed=1, findings=["oedema"]
        )
    assert "Did you mean 'alder'?" in str(caught.value)
    assert "oedema" in str(caught.value)
    assert "images_per_site of elm: expected a whole number from 1 to 1,000,000; found 0" in str(caught.value)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["images_per_site", "findings"])
@pytest.mark.parametrize("value", [5, "ab", [1], {}, [], ()])
def test_sites_and_findings_of_the_wrong_kind_are_refused_before_anything_is_written(tmp_path, name, value):
    with pytest.raises(InputError, match=f"^{name}: expected"):
        build(tmp_path / "x", **{name: value})
    assert not (tmp_path / "x").exists()
