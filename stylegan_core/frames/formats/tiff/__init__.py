"""TIFF and BigTIFF directories: validation, in-place changes, channels beside colour and alpha.

Pixels are decoded and encoded by the packages of pictures.
"""
