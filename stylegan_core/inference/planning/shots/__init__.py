"""Shots: timelines of sequences, cut detection, cut lists of editors.

Pure functions of frame lists and small proxies.
"""
