"""OpenEXR: headers, chunks, layers and views, read and written so that all unchanged bytes stay the same.

``read`` and ``write`` are the entry points.
"""
