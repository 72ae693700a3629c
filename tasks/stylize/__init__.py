"""Bulk stylization on demand: plan a request, run its chunks here or on a cluster, report; dry run and look-dev.

The stage stylize uses it too.
"""
