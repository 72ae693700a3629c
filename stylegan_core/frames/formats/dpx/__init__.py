"""DPX (SMPTE ST 268-1): 8 to 16 bits in every packing, headers kept as bytes.

``dpx`` is the entry point.
"""
