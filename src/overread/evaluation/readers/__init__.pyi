from .pooled_readers import Drawn as Drawn
from .reader_analyses import analyse_reads as analyse_reads
