"""What a run leaves behind: masks, tables, pictures, the manifest, the report.

Nothing about masks is decided here; it may use everything below it, and knows nothing of flags.
"""
