"""Runners: how a flow calls its tasks, in threads of this process, as Prefect tasks, or on a Dask cluster.

``run_stage`` chooses one.
"""
