from dataclasses import fields
from pathlib import Path

import pytest

from overread.cohort import CohortConfig
from overread.cohort.cohort_config import check_columns
from overread.cohort.reader_samples import SampleConfig
from overread.errors import InputError


def test_nothing_is_left_out_unless_it_is_said():
    config = CohortConfig()
    assert (config.views, config.ages, config.one_per, dict(config.exclude)) == ((), (None, None), "image", {})


def test_all_problems_are_said_at_once():
    with pytest.raises(InputError) as caught:
        CohortConfig(views=("pa",), one_per="pateint", fractions=(0.5, 0.1, 0.1), ages=(90, 10), stratify=("edma",))
    message = str(caught.value)
    assert "5 problems" in message
    assert "'pateint'. Did you mean 'patient'?" in message
    assert "'edma'. Did you mean 'edema'?" in message
    assert "three shares (train, tune, test) that sum to 1" in message


def test_columns_that_the_images_lack_are_said():
    config = CohortConfig(exclude={"collecton": ("x",)}, split_column="oficial_split")
    with pytest.raises(InputError) as caught:
        check_columns(config, ["image_id", "collection", "official_split"])
    assert "'collecton'. Did you mean 'collection'?" in str(caught.value)
    assert "'oficial_split'. Did you mean 'official_split'?" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rule": "frist"}, "Did you mean 'first'"),
        ({"minimum_size": (512,)}, "the least rows and columns"),
        ({"split_by": "time", "split_file": "a.csv"}, "one way to split; found split_file and split_by = 'time'"),
        ({"split_dates": ("2016-01-01", "2017-01-01")}, "a split by time; found split_by 'patient'"),
        ({"split_by": "time", "split_dates": ("2017-01-01", "2016-01-01")}, "as YYYY-MM-DD"),
        ({"split_by": "time", "split_dates": ("2017", "2018")}, "as YYYY-MM-DD"),
        ({"split_unlisted": "rest"}, "cohort.split_unlisted"),
    ],
)
def test_rules_and_splits_that_cannot_be_are_said(given, message):
    with pytest.raises(InputError, match=message):
        CohortConfig(**given)


@pytest.mark.parametrize("config", [CohortConfig, SampleConfig])
def test_the_page_on_cohorts_has_every_field(config):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "cohort.md").read_text()
    assert [f.name for f in fields(config) if f"| `{f.name}` |" not in page] == []
