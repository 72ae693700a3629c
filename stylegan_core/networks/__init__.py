"""Generators and discriminators, one family a file.

``resnet`` is the generator of most recipes; ``discriminators`` arranges their discriminators.
"""
