"""Backup: one file with what a project cannot make again, written while its servers run, and its restoration.

Begin with ``create``, which says what goes in; ``restore`` is its reverse, ``archive`` the file in between.
"""
