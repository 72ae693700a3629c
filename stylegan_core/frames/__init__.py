"""Lossless input and output of pictures and film: formats, sequences, colour, movies, provenance.

Imports go base < formats, profiles, sequences < pictures < colour, movies, provenance.
"""
