"""Flows: the order of the tasks, one flow per stage, without logic of their own.

``runners`` calls the tasks, ``cli`` is the command line.
"""
