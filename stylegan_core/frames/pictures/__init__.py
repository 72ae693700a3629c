"""Picture files to pixels with metadata and back, in every format that stylereel reads.

``picture.read_picture`` decodes, ``encode`` writes, ``integrity`` finds damage that decoders overlook.
"""
