"""The concurrent pipeline of a job: decode, inference and encode, memory budget, journal, outcomes, signals.

``stylizer`` is the entry point.
"""
