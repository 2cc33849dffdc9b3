from .delimited import Loaded as Loaded
from .delimited import load as load
from .delimited import number_advice as number_advice
from .spreadsheet import marked as marked
