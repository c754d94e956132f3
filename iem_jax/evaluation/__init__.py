"""What masks are worth: scores against a ground truth, and tables that compare runs.

Works on arrays and on rows of numbers, not on files; may use `config` alone.
"""
