"""Random patients, findings, exposures and report labels of a hospital, before rendering."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from overread.simulation.acquisition import Acquisition, acquire
from overread.simulation.anatomy.chest_shape import Patient
from overread.simulation.disease_effects import FINDINGS
from overread.simulation.sites import Site

CHRONIC = ("cardiomegaly", "nodule", "mass", "fibrosis")
# Log odds that one finding adds to another: hearts fail into lungs and pleura.
COMORBID: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("cardiomegaly", "edema"): 0.8,
        ("cardiomegaly", "pleural_effusion"): 0.5,
        ("edema", "pleural_effusion"): 0.7,
        ("pleural_effusion", "atelectasis"): 0.6,
        ("consolidation", "pleural_effusion"): 0.3,
    }
)
AGEING: Mapping[str, float] = MappingProxyType(
    {"cardiomegaly": 0.25, "edema": 0.2, "pleural_effusion": 0.15, "fibrosis": 0.3}
)


@dataclass(frozen=True)
class Visit:
    """An image to render: identifiers, patient, exposure, severities of the findings, and states in the report."""

    image_id: str
    patient_id: str
    site: str
    patient: Patient
    acquisition: Acquisition
    severities: Mapping[str, float]
    report: Mapping[str, str]
    acquired: datetime.date


def visits(site: Site, images: int, *, label_noise: float, rng: np.random.Generator) -> list[Visit]:
    """Draw visits to a hospital until they have `images` images; some patients have several visits."""
    made: list[Visit] = []
    number = 0
    while len(made) < images:
        number += 1
        patient = _person(site, rng)
        first = _sickness(site, patient, {}, rng)
        day = datetime.date(2019, 1, 1) + datetime.timedelta(days=int(rng.integers(0, 1400)))
        count = 1 + min(int(rng.geometric(1.0 - site.visits)) - 1, 4)
        severities = first
        for visit in range(1, count + 1):
            if len(made) == images:
                break
            if visit > 1:
                severities = _sickness(site, patient, severities, rng)
                day += datetime.timedelta(days=int(rng.integers(1, 200)))
            made.append(_visit(site, (number, visit), patient, (severities, day, label_noise), rng))
    return made


def _visit(
    site: Site,
    numbers: tuple[int, int],
    patient: Patient,
    state: tuple[Mapping[str, float], datetime.date, float],
    rng: np.random.Generator,
) -> Visit:
    severities, day, noise = state
    burden = sum(value > 0 for value in severities.values()) - sum(site.prevalence.values())
    share = min(max(site.ap_share, 0.01), 0.99)
    bedside = rng.random() < 1.0 / (1.0 + np.exp(-(np.log(share / (1.0 - share)) + site.ap_link * burden)))
    patient_id = f"{site.name}-{numbers[0]:04d}"
    return Visit(
        image_id=f"{patient_id}-{numbers[1]}",
        patient_id=patient_id,
        site=site.name,
        patient=patient,
        acquisition=acquire(site.device, "AP" if bedside else "PA", rng=rng),
        severities=dict(severities),
        report=report(severities, site, label_noise=noise, rng=rng),
        acquired=day,
    )


def _person(site: Site, rng: np.random.Generator) -> Patient:
    female = bool(rng.random() < site.female)
    return Patient(
        sex="F" if female else "M",
        age_years=round(float(np.clip(rng.normal(*site.age), 18.0, 94.0)), 1),
        height_cm=round(float(np.clip(rng.normal(163.0 if female else 176.0, 7.0), 145.0, 202.0)), 1),
        bmi=round(float(np.clip(rng.normal(site.bmi, 4.0), 17.0, 40.0)), 1),
        anatomy=int(rng.integers(0, 2**31)),
    )


def _sickness(site: Site, patient: Patient, before: Mapping[str, float], rng: np.random.Generator) -> dict[str, float]:
    """Severities of one visit: chronic findings stay, acute ones come and go."""
    now: dict[str, float] = {}
    draws = rng.random((len(FINDINGS), 2))
    strengths = rng.beta(*_beta(site.severity), size=len(FINDINGS))
    order = sorted(
        FINDINGS,
        key=lambda f: (
            ("cardiomegaly", "edema", "consolidation").index(f)
            if f in ("cardiomegaly", "edema", "consolidation")
            else 9
        ),
    )
    for name in order:
        k = FINDINGS.index(name)
        old = before.get(name, 0.0)
        if old > 0 and (name in CHRONIC or draws[k, 0] < 0.5):
            now[name] = float(np.clip(old + 0.15 * (draws[k, 1] - 0.5), 0.05, 1.0))
            continue
        share = min(max(site.prevalence[name], 1e-4), 0.98)
        odds = np.log(share / (1.0 - share)) + AGEING.get(name, 0.0) * (patient.age_years - site.age[0]) / 10.0
        for (cause, effect), more in COMORBID.items():
            if effect == name:
                odds += more * ((now.get(cause, 0.0) > 0) - site.prevalence[cause])
        present = draws[k, 0] < 1.0 / (1.0 + np.exp(-odds)) and not (before and name in CHRONIC and draws[k, 1] < 0.7)
        now[name] = float(0.15 + 0.85 * strengths[k]) if present else 0.0
    return {name: now[name] for name in FINDINGS}


def _beta(mean: float) -> tuple[float, float]:
    mean = min(max(mean, 0.1), 0.9)
    return 3.0 * mean, 3.0 * (1.0 - mean)


def report(
    severities: Mapping[str, float], site: Site, *, label_noise: float, rng: np.random.Generator
) -> dict[str, str]:
    """States of the findings in the report: present, absent or uncertain; findings not stated are omitted.

    A subtle finding is missed more often than an obvious one: the probability is site.missed at severity 0.5, 1.6
    times that near 0 and 0.4 times near 1. label_noise scales every error; 0 = the report equals the ground truth.
    """
    stated: dict[str, str] = {}
    draws = rng.random((len(FINDINGS), 2))
    for (name, severity), (doubt, error) in zip(severities.items(), draws, strict=True):
        if name in site.unstated:
            continue
        if severity > 0:
            wrong = error < label_noise * site.missed * (1.6 - 1.2 * severity)
            unsure = doubt < label_noise * site.unsure * (1.6 - 1.2 * severity)
            stated[name] = "uncertain" if unsure else ("absent" if wrong else "present")
        else:
            unsure = doubt < label_noise * site.unsure / 3.0
            stated[name] = "uncertain" if unsure else ("present" if error < label_noise * site.invented else "absent")
    return stated
