from .bibliography import Cited as Cited
from .bibliography import Reference as Reference
from .methods_section import methods as methods
from .methods_section import methods_text as methods_text
from .methods_section import models_told as models_told
from .methods_section import pixels_told as pixels_told
