from .pooled_readers import Replicated as Replicated
from .reader_analyses import analyse_reads as analyse_reads
