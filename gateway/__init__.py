"""HTTP in, Server-Sent Events out."""
