"""Provenance in files: metadata tags and signed C2PA manifests.

What the tags say is decided in ``inference.output.provenance``.
"""
