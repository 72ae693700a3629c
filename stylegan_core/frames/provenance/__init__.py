"""Provenance in files: metadata tags and signed C2PA manifests.

The content of the tags is chosen in ``inference.output.provenance``.
"""
