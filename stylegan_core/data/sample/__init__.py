"""The built-in sample: a shot with known truth and motion, made from photographs in installed packages.

``build`` is the entry point.
"""
