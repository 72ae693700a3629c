"""A user's project: its folders and settings file, its upkeep, the doctor, code digests of stages.

``python -m tasks.project`` configures a checkout.
"""
