from .header_scan import scan as scan
from .headers import dataset_of as dataset_of
from .headers import header_of as header_of
from .radiographs import decode_dicom as decode_dicom
from .radiographs import stored_of as stored_of
