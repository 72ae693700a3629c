"""Tasks: load, call the core, save.

``stages`` has one file for each stage of ``dvc.yaml``; ``stylize`` is bulk work on demand.
"""
