from .folder_run import Result as Result
from .folder_run import deidentify as deidentify
from .output_folders import check_places as check_places
from .profile import Deidentification as Deidentification
from .pseudonyms import Key as Key
from .pseudonyms import new_key as new_key
from .pseudonyms import read_key as read_key
