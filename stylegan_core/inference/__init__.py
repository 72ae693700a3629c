"""Bulk stylization: plan a job, run its frames through the network, write them once, deliver the result.

Imports go job < network, output < conditioning < export, reading < render < planning, pipeline, delivery.
"""
