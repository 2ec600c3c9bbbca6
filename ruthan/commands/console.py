"""How the commands write to a terminal, or to what takes its place."""

from rich.console import Console

PIPE_WIDTH = 160  # columns of tables where the output is no terminal that has a width


def output() -> Console:
    """Standard output."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def errors() -> Console:
    """Standard error output."""
    return Console(stderr=True, highlight=False)
