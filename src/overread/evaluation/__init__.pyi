from .evaluation_config import EvaluationConfig as EvaluationConfig
from .evidence import FILES as FILES
from .evidence import Evidence as Evidence
from .evidence import evaluate as evaluate
from .evidence import write as write
