import polars as pl
import pytest

from overread import findings
from overread.cohort import merge
from overread.datasets import prefixed
from overread.errors import InputError
from overread.tables import Source


def merged(sources, roots):
    placed, base = merge.rooted(sources, roots, vocabulary=findings.load())
    return merge.merged(placed), base


def test_paths_become_relative_to_what_the_folders_share(hospital, tmp_path):
    a, b = hospital("a", 3, write=False), hospital("b", 3, write=False)
    whole, base = merged([a, b], [tmp_path / "x", tmp_path / "y" / "z"])
    assert base == tmp_path.resolve()
    assert set(whole.images["path"].str.split("-").list.first()) == {"x/a", "y/z/b"}
    alone, base = merged([a], [tmp_path / "x"])
    assert base == (tmp_path / "x").resolve()
    assert alone.images["path"].to_list() == a.images["path"].to_list()


def test_shared_identifiers_are_refused_and_a_prefix_mends_it(hospital, tmp_path):
    a, b = hospital("a", 4, write=False), hospital("a", 2, write=False)
    with pytest.raises(InputError) as caught:
        merged([a, b], [tmp_path] * 2)
    message = str(caught.value)
    assert "3 problems" in message
    assert "expected patient_ids that no two sources share; found 2 shared (a-000, a-001). Give one of the" in message
    whole, _ = merged([a, prefixed(b, "b:")], [tmp_path] * 2)
    assert whole.images["patient_id"].n_unique() == 6


def test_a_case_of_two_patients_is_refused(hospital, tmp_path):
    a = hospital("a", 2, write=False)
    mixed = Source(a.images.with_columns(case_id=pl.lit("c")), a.labels.clear())
    with pytest.raises(InputError, match=r"one patient_id per case; found 1 cases with several \(c\)"):
        merged([mixed], [tmp_path])


def test_extra_columns_of_one_source_are_carried(hospital, tmp_path):
    a, b = hospital("a", 2, write=False, batch=pl.lit("x")), hospital("b", 2, write=False)
    whole, _ = merged([a, b], [tmp_path] * 2)
    assert whole.images.filter(pl.col("site") == "b")["batch"].null_count() > 0
    assert whole.images.filter(pl.col("site") == "a")["batch"].null_count() == 0


def test_no_images_or_a_missing_folder_are_said(hospital, tmp_path):
    a = hospital("a", 2, write=False)
    with pytest.raises(InputError, match="at least one image; found none"):
        merged([Source(a.images.clear(), a.labels)], [tmp_path])
    with pytest.raises(InputError, match="a folder for every source; found 1 sources, 2 folders"):
        merged([a], [tmp_path, tmp_path])


def test_one_file_of_two_patients_is_refused(hospital, tmp_path):
    one = hospital("north", 5)
    third = pl.col("patient_id") == "north-003"
    same = one.images.with_columns(path=pl.when(third).then(pl.lit(one.images["path"][0])).otherwise("path"))
    with pytest.raises(InputError, match=r"to be of one patient; found 1 that two patients share \(nor"):
        merged([Source(same, one.labels)], [tmp_path])


def test_a_statement_that_two_sources_read_from_one_file_is_one_and_a_contradiction_stays(hospital, tmp_path):
    a, b = hospital("a", 2, write=False), hospital("b", 2, write=False)
    lost = a.labels.head(1).with_columns(case_id=pl.lit("lost"))
    placed, _ = merge.rooted(
        [Source(s.images, pl.concat([s.labels, lost])) for s in (a, b)], [tmp_path] * 2, vocabulary=findings.load()
    )
    labels = merge.merged(placed).labels
    assert labels.filter(case_id="lost").height == 1
    assert labels.height == a.labels.height + b.labels.height + 1
