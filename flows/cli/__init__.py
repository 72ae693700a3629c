"""The command line ``stylereel``: one file a group of commands; heavy imports are inside the commands.

``main`` is the entry point.
"""
