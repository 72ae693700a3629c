"""The job file: everything that workers need, written by the planner and only read afterwards.

Also how a job and its results are summarized and reported.
"""
