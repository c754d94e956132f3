"""Pictures of any kind in, finished masks out: what the command line and a user's own pipeline call.

Here belongs how pictures are fed to the devices and how results come back; what is done to one picture stands in the
rooms below: `refine`, `finishing`, `search`, `data`, `core`.
"""
