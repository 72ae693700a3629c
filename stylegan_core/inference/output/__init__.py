"""The output folder: locks, file states, group commit of records, the frame log, provenance of each file.

Guarantees that a record never exists without its file.
"""
