"""What operators see: logs, metrics and traces, none of which ever holds a message."""
