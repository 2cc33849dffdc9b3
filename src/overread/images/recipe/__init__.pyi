from .lut import counted as counted
from .lut import looked_up as looked_up
from .pixel_recipe import Recipe as Recipe
from .pixel_recipe import render as render
from .pixel_recipe import uniformity as uniformity
