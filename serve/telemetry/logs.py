"""The log: one JSON object a line on standard error. No line holds a message, a key or an address."""

import logging
import sys
from logging.config import dictConfig

from pythonjsonlogger.json import JsonFormatter


def configure(level: str) -> None:
    """Log lines of at least this level, the server's own ones too."""
    formatter = {
        "()": JsonFormatter,
        "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
        "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        "json_ensure_ascii": False,
    }
    dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": formatter},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "json"}},
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            # Of libraries only what went wrong: their details may quote what they were given.
            "loggers": {name: {"level": level.upper()} for name in ("serve", "ruthan", "uvicorn")},
        }
    )
    for name in ("uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
