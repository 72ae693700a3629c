"""What every format needs: the error for unreadable files, format sniffing, bit depths, sample types.

The lowest layer of frames; imports no other package of it.
"""
