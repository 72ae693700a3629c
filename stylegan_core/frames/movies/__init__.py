"""Movies: probing, exact frame access, writing in the source's codec, timecode, HDR metadata.

``probe``, ``reader``, ``encoding`` and ``writer`` are the entry points.
"""
