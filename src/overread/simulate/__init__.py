"""Chest radiographs, labels and readers whose truth is known."""

from overread.simulate.acquisition import Acquisition, Device, acquire
from overread.simulate.findings import FINDINGS, STRENGTH
from overread.simulate.multisite import hospitals
from overread.simulate.radiograph import Box, Radiography, radiograph
from overread.simulate.readers import Reader, panel, reads
from overread.simulate.sites import EXTERNAL, SITES, Site
from overread.simulate.thorax import Patient

__all__ = [
    "EXTERNAL", "FINDINGS", "SITES", "STRENGTH", "Acquisition", "Box", "Device", "Patient", "Radiography", "Reader",
    "Site",
    "acquire", "hospitals", "panel", "radiograph", "reads",
]  # fmt: skip
