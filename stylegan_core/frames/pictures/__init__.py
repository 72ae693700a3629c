"""Picture files to pixels with metadata and back, in every format that stylereel reads.

``read`` and ``encode`` are the entry points; ``integrity`` finds damage that decoders overlook.
"""
