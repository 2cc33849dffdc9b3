from .pixel_recipe import Recipe as Recipe
from .pixel_recipe import render as render
