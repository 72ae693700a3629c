"""Notifications: who is written to, what is written, and that the same failure is written once.

Begin with ``problems.py``, then ``sent.py`` and ``outbox.py``; ``watch.py`` finds what a dead process cannot report.
"""
