from .extra_findings import with_extra_findings as with_extra_findings
from .vocabularies import Finding as Finding
from .vocabularies import Vocabulary as Vocabulary
from .vocabulary_files import load as load
from .vocabulary_files import record_of as record_of
from .vocabulary_files import recorded as recorded
from .vocabulary_files import stated as stated
