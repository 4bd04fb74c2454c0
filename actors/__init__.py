"""Who does the work: one actor class a file."""
