"""File formats as bytes: parsing, validation and writing, without colour management.

A new picture format is added here, in its own folder or file.
"""
