"""Colour profiles and spaces as numbers: ICC, matrix profiles, RGB primaries, OpenColorIO.

Which profile a picture has is decided in ``frames.colour``.
"""
