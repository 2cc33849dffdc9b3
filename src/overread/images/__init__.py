"""Pixels: radiographs read from PNG, JPEG and DICOM, the recipe that makes them one size, the store that keeps them."""
