"""Promotion: compares new models with the promoted ones, and moves the registry's aliases.

Begin with ``gate.run_gate``, the pipeline's step between evaluate and stylize; ``promote`` carries its decisions out.
"""
