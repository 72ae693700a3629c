"""Loss terms, one family a file.

``adversarial`` is used by most recipes; each recipe weights and adds its own terms.
"""
