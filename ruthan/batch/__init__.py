"""Run over whole dumps and present what was found."""
