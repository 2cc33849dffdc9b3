"""Five fictitious hospitals: devices, patients, practice, and accuracy of their reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from overread.simulation.acquisition import Device
from overread.simulation.disease_effects import FINDINGS


@dataclass(frozen=True)
class Site:
    """A simulated hospital.

    Parameters
    ----------
    name : str
        Name of the site.
    device : Device
        Radiography system.
    prevalence : mapping of str to float
        Finding -> fraction of images.
    age : tuple of float
        Mean and standard deviation of age in years.
    female : float
        Fraction of women.
    bmi : float
        Mean body mass index in kg/m².
    severity : float
        Mean severity of findings that are present, 0 to 1.
    ap_share : float
        Fraction of bedside images.
    ap_link : float
        Increase of the log odds of a bedside image per finding present.
    visits : float
        Probability that a patient returns.
    missed, invented, unsure : float
        Probabilities that a report omits a finding (at severity 0.5), states one that is absent, or is uncertain.
    unstated : tuple of str
        Findings that this hospital never reports.
    dicom : bool
        Whether images are DICOM instead of PNG.
    """

    name: str
    device: Device
    prevalence: Mapping[str, float]
    age: tuple[float, float] = (55.0, 17.0)
    female: float = 0.48
    bmi: float = 26.0
    severity: float = 0.55
    ap_share: float = 0.3
    ap_link: float = 0.8
    visits: float = 0.18
    missed: float = 0.08
    invented: float = 0.03
    unsure: float = 0.04
    unstated: tuple[str, ...] = ()
    dicom: bool = False


def _prevalence(*shares: float) -> Mapping[str, float]:
    return MappingProxyType(dict(zip(FINDINGS, shares, strict=True)))


# Shares in the order of FINDINGS: cardiomegaly, effusion, consolidation, nodule, mass, pneumothorax, edema, ….
SITES: tuple[Site, ...] = (
    Site(
        "alder",
        Device("Lumena", "Argo 7", 0.14, 0.05, 4e6, 1.5, 97.0, 0.85, 3.0, 0.35, 0.9, "L", "plain"),
        _prevalence(0.22, 0.20, 0.18, 0.08, 0.05, 0.17, 0.17, 0.10, 0.05),
        age=(50.0, 17.0),
        female=0.52,
        bmi=25.0,
        ap_share=0.15,
        ap_link=1.0,
        missed=0.06,
        invented=0.02,
        unsure=0.03,
    ),
    Site(
        "birch",
        Device("Kestrel", "DR 500", 0.20, 0.10, 2e6, 2.5, 98.0, 1.05, 3.6, 0.60, 0.7, "L", "circled"),
        _prevalence(0.28, 0.27, 0.24, 0.07, 0.06, 0.20, 0.22, 0.14, 0.06),
        age=(58.0, 16.0),
        female=0.46,
        bmi=26.5,
        ap_share=0.35,
        ap_link=1.1,
        missed=0.08,
        invented=0.025,
        unsure=0.04,
        unstated=("fibrosis",),
        dicom=True,
    ),
    Site(
        "cedar",
        Device("Orbis Medical", "Mobil 2", 0.28, 0.12, 1.2e6, 2.0, 96.0, 0.75, 3.2, 0.15, 1.2, "R", "words"),
        _prevalence(0.34, 0.34, 0.30, 0.06, 0.05, 0.24, 0.30, 0.20, 0.05),
        age=(64.0, 14.0),
        female=0.43,
        bmi=27.0,
        ap_share=0.65,
        ap_link=1.2,
        missed=0.10,
        invented=0.03,
        unsure=0.05,
        unstated=("nodule",),
    ),
    Site(
        "dogwood",
        Device("Northlight", "Plate S", 0.12, 0.20, 5e5, 4.0, 96.0, 1.45, 4.5, 0.90, 0.5, "LK", "low"),
        _prevalence(0.26, 0.24, 0.26, 0.10, 0.06, 0.20, 0.20, 0.16, 0.10),
        age=(52.0, 19.0),
        female=0.50,
        bmi=24.0,
        ap_share=0.30,
        ap_link=-0.5,
        missed=0.09,
        invented=0.03,
        unsure=0.05,
    ),
    Site(
        "elm",
        Device("Vireo", "Silver 300", 0.34, 0.26, 3e5, 0.7, 99.0, 0.62, 2.6, 0.0, 0.9, "LM", "plain"),
        _prevalence(0.30, 0.28, 0.22, 0.07, 0.08, 0.22, 0.26, 0.12, 0.07),
        age=(61.0, 16.0),
        female=0.40,
        bmi=28.0,
        ap_share=0.45,
        ap_link=0.0,
        missed=0.10,
        invented=0.035,
        unsure=0.06,
        unstated=("atelectasis",),
    ),
)
EXTERNAL = ("dogwood", "elm")


def blended(difference: float) -> tuple[Site, ...]:
    """The five sites with scaled differences: 1 = unchanged, 0 = equal in everything but their name.

    Text (markers, manufacturers) and file format are those of the site unless the difference is 0; then all use those
    of the first site.
    """
    return tuple(_blend(site, difference) for site in SITES)


def _blend(site: Site, difference: float) -> Site:
    if difference == 0.0:
        common = _mean([_numbers(s) for s in SITES], [1.0 / len(SITES)] * len(SITES))
        return _with(replace(SITES[0], name=site.name, dicom=site.dicom, unstated=()), common)
    shares = [(1.0 - difference) / len(SITES) + (difference if s.name == site.name else 0.0) for s in SITES]
    return _with(site, _mean([_numbers(s) for s in SITES], shares))


def _numbers(site: Site) -> dict[str, float]:
    out = {f"device.{f.name}": getattr(site.device, f.name) for f in fields(site.device)}
    out |= {f"prevalence.{name}": value for name, value in site.prevalence.items()}
    out |= {f.name: getattr(site, f.name) for f in fields(site)}
    out |= {"age.0": site.age[0], "age.1": site.age[1]}
    return {key: float(value) for key, value in out.items() if type(value) in (int, float)}


def _mean(parts: list[dict[str, float]], shares: list[float]) -> dict[str, float]:
    return {key: sum(w * part[key] for w, part in zip(shares, parts, strict=True)) for key in parts[0]}


# What extrapolated differences (beyond 1) must not leave.
_LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "scatter": (0.0, 0.8),
        "blur_cm": (0.0, 0.8),
        "quanta": (5e4, 1e7),
        "dark": (0.0, 10.0),
        "bright": (90.0, 99.9),
        "gamma": (0.3, 2.5),
        "slope": (1.0, 8.0),
        "edge": (0.0, 2.0),
        "edge_cm": (0.2, 2.0),
        "ap_link": (-3.0, 3.0),
        "bmi": (18.0, 40.0),
        "age": (5.0, 90.0),
    }
)


def _with(site: Site, numbers: Mapping[str, float]) -> Site:
    def held(key: str) -> float:
        low, high = _LIMITS.get(key.split(".")[-1] if "age." not in key else "age", (0.0, 0.95))
        return min(max(numbers[key], low), high)

    device: dict[str, Any] = {key.split(".")[1]: held(key) for key in numbers if key.startswith("device.")}
    plain: dict[str, Any] = {key: held(key) for key in numbers if "." not in key}
    return replace(
        site,
        device=replace(site.device, **device),
        prevalence=MappingProxyType({name: held(f"prevalence.{name}") for name in FINDINGS}),
        age=(held("age.0"), held("age.1")),
        **plain,
    )
