from .reader_titles import in_sentence as in_sentence
from .reader_titles import references as references
