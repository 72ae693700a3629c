"""What scheduled runs add to a pipeline: a checkout of their own, and a branch for their results.

Begin at ``run_checkout``.
"""
