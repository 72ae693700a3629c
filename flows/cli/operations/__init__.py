"""Commands for work that runs unattended, which docs/operations.md describes.

Begin at ``services``, which starts what the others need.
"""
