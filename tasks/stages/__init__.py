"""The four stages of the DAG: prepare, train, evaluate, stylize, with the review page.

Each loads, calls the core and saves; its flow has its name.
"""
