"""The planner: from a request to a job that workers only read. Planning writes nothing outside of the user's cache.

``request`` holds the user's settings, ``planner`` runs the steps.
"""
