import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.datasets.fields import ages, normalise


def read(*texts):
    value, approximate, missing = ages.years(pl.col("text"))
    made = pl.DataFrame({"text": texts}, schema={"text": pl.String}).select(a=value, b=approximate, c=missing)
    return made.rows()


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("57", 57),
        ("57.0", 57),
        ("057Y", 57),
        ("18M", 1.5),
        ("18 months", 1.5),
        ("012D", 12 / 365.25),
        ("45yrs", 45),
        ("45 years old", 45),
        ("1 year 3 months", 1.25),
        ("2y 6m", 2.5),
        ("75 J", 75),
        ("34 Jahre", 34),
        ("1,5", 1.5),
    ],
)
def test_exact_ages_are_no_approximation(text, years):
    value, approximate, missing = read(text)[0]
    assert value == pytest.approx(years)
    assert (approximate, missing) == (False, False)


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("50+", 50),
        ("90 +", 90),
        (">89", 89),
        (">= 90", 90),
        ("85 or more", 85),
        ("89 and older", 89),
        ("over 80", 80),
        ("early 40s", 42),
        ("Early forties", 42),
        ("mid-50s", 55),
        ("late 60s", 68),
        ("40s", 45),
        ("40's", 45),
        ("in his 50s", 55),
        ("60-69", 64.5),
        ("20 to 30", 25),
        ("~60", 60),
        ("ca. 60", 60),
        ("60?", 60),
        ("<18", None),
        ("under 5", None),
    ],
)
def test_approximate_ages_are_marked(text, years):
    assert read(text) == [(years, True, False)]


@pytest.mark.parametrize("text", ["", None, " ", "n/a", "NaN", "unknown", "-"])
def test_words_without_an_age_are_missing(text):
    assert read(text) == [(None, False, True)]


@pytest.mark.parametrize("text", ["old", "-1", "abc12", "12abc", "5-", "adult", "1990-01-01", "50++", "60-50"])
def test_other_text_is_not_read(text):
    assert read(text) == [(None, False, False)]


@pytest.mark.slow
@given(st.integers(0, 120), st.sampled_from(["", "y", " years", "Y", " yrs"]), st.integers(0, 3))
def test_whole_years_survive_unit_and_padding(years, unit, zeros):
    assert read(f" {'0' * zeros}{years}{unit} ") == [(float(years), False, False)]


@pytest.mark.slow
@given(st.integers(1, 12), st.sampled_from(["early ", "mid ", "late ", "mid-", ""]), st.sampled_from(["s", "'s"]))
def test_a_decade_gives_an_age_within_it(tens, part, ending):
    decade = 10 * min(tens, 9)
    (value, approximate, _) = read(f"{part}{decade}{ending}")[0]
    assert decade <= value < decade + 10
    assert approximate


def test_approximate_ages_are_noted_with_text_and_number():
    frame = pl.DataFrame({"image_id": ["a", "b", "c"], "age_years": ["50+", "<18", "7"]})
    made, problems = normalise.ages(frame, "t.csv")
    assert problems == []
    assert made["age_years"].to_list() == [50.0, None, 7.0]
    assert made["source_note"].to_list() == [
        "age '50+' is approximate: 50 is taken",
        "age '<18' is an upper limit only: not stated",
        None,
    ]
