from .file_content import ImageFile as ImageFile
from .file_content import Pixels as Pixels
from .png_jpeg import decode_raster as decode_raster
