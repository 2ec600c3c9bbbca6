"""The scan endpoint."""
