"""Pictures and film in and out, exactly: formats, sequences, colour, movies, provenance.

Imports go base < formats, profiles, sequences < pictures < colour, movies, provenance.
"""
