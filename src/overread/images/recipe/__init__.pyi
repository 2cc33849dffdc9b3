from .pixel_recipe import Recipe as Recipe
from .pixel_recipe import apply_recipe as apply_recipe
