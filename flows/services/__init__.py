"""Services of one machine: Prefect server, MLflow server and the project's workers, started, stopped and shown.

``site`` starts and stops them, ``status`` collects what they know, ``deployments`` sets the schedule. A service is
started by ``systemd`` where the user has it, else by ``processes``. ``prefect_api`` speaks to the server without
importing Prefect, which takes seconds.
"""
