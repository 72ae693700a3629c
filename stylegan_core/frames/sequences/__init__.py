"""Numbered frames on disk: listing of folders, sequence patterns, ranges of frame numbers.

Names and numbers only; no file is decoded.
"""
