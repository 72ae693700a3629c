"""Child processes: calls of dvc and git that end with all that they have started, also when a time limit has passed.

Begin at ``time_limit``: a limit holds for every call inside its context, without being handed down.
"""
