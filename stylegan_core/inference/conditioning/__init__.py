"""Conditioning of a model apart from the content: references, style banks, attribute edits, direction.

Planned as ``Conditioning``; turned into the recipe's ``Conditions`` once a job.
"""
