from .bibliography import Cited as Cited
from .bibliography import Reference as Reference
from .facts import facts as facts
from .methods_section import fact_sentences as fact_sentences
from .methods_section import methods as methods
from .methods_section import methods_text as methods_text
