"""File formats as bytes: parsing, validation and writing of each, without any colour management.

A new picture format is added here, in a folder or file of its own.
"""
