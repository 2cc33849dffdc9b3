import pytest

from overread.cohort import CohortConfig
from overread.cohort.config import check_columns
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
    config = CohortConfig(exclude={"collecton": ("x",)}, split_column="official")
    with pytest.raises(InputError) as caught:
        check_columns(config, ["image_id", "collection", "official_split"])
    assert "'collecton'. Did you mean 'collection'?" in str(caught.value)
    assert "'official'. Did you mean 'official_split'?" in str(caught.value)
