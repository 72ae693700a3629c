"""What is made of a trained model: exports, students, style banks, pictures of features.

Each is one command.
"""
