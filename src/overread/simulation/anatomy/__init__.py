"""Anatomy of the simulated chest: lungs, bones, vessels, airways and opacities."""
