"""What conditions a model beside the content: references, style banks, attribute edits, direction.

Turned into the recipe's ``Conditions`` once a job.
"""
