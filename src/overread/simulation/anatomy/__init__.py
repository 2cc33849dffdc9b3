"""The simulated chest: lungs, bones, vessels, airways and opacities."""
