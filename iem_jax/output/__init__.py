"""What a run leaves behind: masks, tables and pictures. Nothing is computed here."""
