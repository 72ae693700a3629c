"""Retention: old runs leave MLflow's store, unless a model in use, a delivered result or a promotion names them.

Begin with ``mlflow_runs``; ``in_use`` decides what stays. Prefect's runs are removed by ``flows.retention``.
"""
