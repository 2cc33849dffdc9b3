import pytest

from overread.errors import InputError
from overread.evaluation.evaluation_config import EvaluationConfig


def test_points_are_named_by_their_rate():
    config = EvaluationConfig(specificities=(0.9, 0.975), sensitivities=(0.95,))
    assert config.points() == {
        "spec90": {"specificity": 0.9},
        "spec97.5": {"specificity": 0.975},
        "sens95": {"sensitivity": 0.95},
    }


def test_every_problem_is_said_at_once():
    with pytest.raises(InputError) as error:
        EvaluationConfig(
            uncertain="ignored", findings=("edma",), confidence=95, missing_allowed=1.5, age_bands=(40, 18)
        )
    text = str(error.value)
    assert text.startswith("5 problems")
    for part in (
        "one of ignore, absent, present; found 'ignored'",
        "Did you mean 'edema'?",
        "between 0 and 1; found 95",
        "missing_allowed: expected a share",
        "ages in ascending order",
    ):
        assert part in text


def test_a_site_cannot_be_both_internal_and_external():
    with pytest.raises(InputError, match="sites named as both"):
        EvaluationConfig(internal_sites=("a",), external_sites=("a",))


def test_roles_are_checked():
    with pytest.raises(InputError, match="Did you mean 'pooled'"):
        EvaluationConfig(roles={"poled": "x"})


def test_members_know_their_ensemble():
    config = EvaluationConfig(members={"pooled": ("pooled/seed-1", "pooled/seed-2")})
    assert config.member_names() == {"pooled/seed-1": "pooled", "pooled/seed-2": "pooled"}


def test_reference_as_one_or_several_sources():
    assert EvaluationConfig().sources == ()
    assert EvaluationConfig(reference="nih").sources == ("nih",)
    assert EvaluationConfig(reference=("nih", "guangzhou")).sources == ("nih", "guangzhou")


@pytest.mark.parametrize(
    ("word", "hint"), [("Effusion", "pleural_effusion"), ("pleural effusion", "pleural_effusion"), ("edma", "edema")]
)
def test_a_finding_by_another_name_is_refused_with_its_own(word, hint):
    with pytest.raises(InputError, match=f"Did you mean '{hint}'"):
        EvaluationConfig(findings=(word,))


def test_an_unknown_aggregation_over_sites_names_the_known_ones():
    with pytest.raises(InputError) as caught:
        EvaluationConfig(aggregation="stratifed")
    assert "within-site mean, stratified, pooled" in str(caught.value)
    assert "did you mean 'stratified'" in str(caught.value).lower() or "stratified" in caught.value.do
