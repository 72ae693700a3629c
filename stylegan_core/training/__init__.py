"""Training of any recipe: the loop, the optimizers, the moving average of the weights, validation, exact resume.

``trainer`` is the entry point; ``loop`` and ``step`` are what it repeats.
"""
