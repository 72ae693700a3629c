"""Frames of a job as the network sees them: files, movie frames, masks, temporal windows, colour spaces.

``decode`` reads all that one frame needs.
"""
