"""OpenEXR: headers, chunks, layers and views, read and written so that every untouched byte stays.

``read`` and ``write`` are the entry points.
"""
