from dataclasses import replace

import pytest

from overread.simulation.sites import EXTERNAL, SITES, blended


def test_five_sites_three_to_learn_from():
    names = [site.name for site in SITES]
    assert names == ["alder", "birch", "cedar", "dogwood", "elm"]
    assert set(EXTERNAL) == {"dogwood", "elm"}
    assert [site.name for site in SITES if site.dicom] == ["birch"]


def test_large_findings_are_common_enough_to_be_evaluated_everywhere():
    for site in SITES:
        for finding in ("cardiomegaly", "pleural_effusion", "consolidation", "pneumothorax", "edema"):
            assert 0.15 <= site.prevalence[finding] <= 0.35


def test_difference_one_is_the_sites_themselves():
    for site, same in zip(SITES, blended(1.0), strict=True):
        assert same.prevalence == pytest.approx(dict(site.prevalence))
        assert same.device.gamma == pytest.approx(site.device.gamma)
        assert same.unstated == site.unstated


def test_without_difference_the_sites_differ_in_name_and_format_only():
    sites = blended(0.0)
    assert (
        len(
            {
                replace(s, name="", dicom=False, prevalence={})
                == replace(sites[0], name="", dicom=False, prevalence={})
                for s in sites
            }
        )
        == 1
    )
    assert len({s.device for s in sites}) == 1
    assert all(s.prevalence == sites[0].prevalence for s in sites)


def test_more_difference_spreads_the_sites_within_limits():
    def spread(sites):
        gammas = [s.device.gamma for s in sites]
        return max(gammas) - min(gammas)

    assert spread(blended(0.5)) == pytest.approx(0.5 * spread(SITES))
    assert spread(blended(1.4)) > spread(SITES)
    for site in blended(5.0):
        assert site.device.quanta >= 5e4
        assert all(0 <= share <= 0.95 for share in site.prevalence.values())
