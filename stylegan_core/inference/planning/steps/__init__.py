"""The planner's steps, one a file: each fills in its own fields of the job.

Their order is ``planner.STEPS``.
"""
