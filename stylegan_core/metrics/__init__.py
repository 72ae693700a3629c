"""Metrics as pure functions, one concept a file, and their comparison with filters as baselines.

Each metric is tested against an independent reference.
"""
