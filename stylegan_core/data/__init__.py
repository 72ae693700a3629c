"""Prepared data: pictures are listed, decoded, selected and stored here, and cut into training batches.

The manifest and the sample store are what the later stages read.
"""
