"""The planner: from a request to a job that workers only read. Planning writes nothing outside of the user's cache.

``request`` is what a person asks, ``planner`` runs the steps.
"""
