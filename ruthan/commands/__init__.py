"""The commands of `ruthan`, one module each."""
