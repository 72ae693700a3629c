"""TIFF and BigTIFF directories: validation, in-place changes, extra channels.

Pixels are decoded and encoded in ``frames.pictures``.
"""
