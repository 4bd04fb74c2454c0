"""What a sandbox is, and the programs inside it."""
