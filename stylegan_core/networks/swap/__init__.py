"""Networks of the recipe ``swap``: encoder, generator of modulated convolutions, co-occurrence discriminator.

Begin with encoder.py.
"""
