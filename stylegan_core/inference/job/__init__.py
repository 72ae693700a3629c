"""The job file: everything that workers need, written by the planner and only read afterwards.

Also the summary of a job for people, and the report of its results.
"""
