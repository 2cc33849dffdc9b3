from dataclasses import replace

import numpy as np
import pytest

from overread.simulation import FINDINGS
from overread.simulation.patient_visits import report, visits
from overread.simulation.sites import SITES


def drawn(site=SITES[1], count=3000, noise=1.0, seed=0):
    return visits(site, count, label_noise=noise, rng=np.random.default_rng(seed))


@pytest.mark.slow
def test_prevalence_is_near_what_the_site_says():
    made = drawn()
    for finding in FINDINGS:
        share = np.mean([v.severities[finding] > 0 for v in made])
        assert share == pytest.approx(SITES[1].prevalence[finding], abs=0.05)


@pytest.mark.slow
def test_some_patients_come_again_with_the_same_chest_and_chronic_findings():
    made = drawn()
    by_patient = {}
    for visit in made:
        by_patient.setdefault(visit.patient_id, []).append(visit)
    several = [v for v in by_patient.values() if len(v) > 1]
    assert 0.1 < len(several) / len(by_patient) < 0.3
    for group in several:
        assert len({v.patient for v in group}) == 1
        assert [v.acquired for v in group] == sorted(v.acquired for v in group)
        if group[0].severities["fibrosis"] > 0:
            assert all(v.severities["fibrosis"] > 0 for v in group)
    assert len({v.image_id for v in made}) == len(made)


@pytest.mark.slow
def test_the_sick_are_xrayed_in_bed():
    made = drawn()
    burden = {
        view: np.mean([sum(s > 0 for s in v.severities.values()) for v in made if v.acquisition.view == view])
        for view in ("AP", "PA")
    }
    assert burden["AP"] > burden["PA"] + 0.3


def test_label_noise_rates_are_recovered():
    site = replace(SITES[0], missed=0.2, invented=0.1, unsure=0.15, unstated=("mass",))
    rng = np.random.default_rng(3)
    severities = dict.fromkeys(FINDINGS, 0.0) | {"edema": 0.5, "nodule": 0.95}
    states = [report(severities, site, label_noise=1.0, rng=rng) for _ in range(6000)]

    def share(finding, state):
        return np.mean([s[finding] == state for s in states])

    assert share("edema", "uncertain") == pytest.approx(0.15, abs=0.02)
    assert share("edema", "absent") == pytest.approx(0.85 * 0.2, abs=0.02)
    assert share("nodule", "absent") == pytest.approx(0.2 * 0.46 * (1 - 0.15 * 0.46), abs=0.02)
    assert share("fibrosis", "present") == pytest.approx(0.95 * 0.1, abs=0.015)
    assert share("fibrosis", "uncertain") == pytest.approx(0.05, abs=0.015)
    assert all("mass" not in s for s in states)


def test_without_label_noise_the_report_is_the_truth():
    for visit in drawn(count=300, noise=0.0):
        for finding, state in visit.report.items():
            assert state == ("present" if visit.severities[finding] > 0 else "absent")


def test_the_same_stream_draws_the_same_visits():
    assert drawn(count=50, seed=4) == drawn(count=50, seed=4)
    assert drawn(count=50, seed=4) != drawn(count=50, seed=5)
