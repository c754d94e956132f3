"""One run of the command line, from its flags to the exit status.

The only room that knows all the others: settings of a run and their checks, the stages, progress, what is said to the
user. What lies below gets the few values that it needs, by name.
"""
