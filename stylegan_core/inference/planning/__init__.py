"""The planner: from a request to a job that workers only read. Planning writes nothing.

``request`` is what a person asks, ``planner`` runs the steps.
"""
