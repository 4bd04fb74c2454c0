"""Who watches. Supervisors know child specs, not children."""
