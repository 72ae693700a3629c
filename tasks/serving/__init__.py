"""Registered models as MLflow models, which ``mlflow models serve`` serves over HTTP.

``mlflow_model`` saves one; ``served_model`` is the code that MLflow runs when it loads one.
"""
