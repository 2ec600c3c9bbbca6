"""The commands of `ruthan-serve` beside serving."""
