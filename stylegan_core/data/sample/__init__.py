"""The built-in sample: a shot with known truth and motion, made from photographs inside wheels.

``build`` is the entry point.
"""
