"""Rendering of a decoded frame: models, regions, bands of large frames, temporal smoothing, encoding.

``renderer`` is the entry point.
"""
