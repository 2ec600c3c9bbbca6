"""Find what a moderator can check in a message."""
