"""Structured logs that hold ids and nothing else.

An allow-list decides which fields may be printed; a field that is not on
it is dropped, whatever its value. Exceptions are logged by class and place:
their text may quote a value of the library that raised them, so it stays
out, and so do local variables.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

ALLOWED = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "cause",
        "client",
        "decision",
        "duration_us",
        "error",
        "index",
        "method",
        "path",
        "place",
        "purpose",
        "request",
        "revision",
        "rows",
        "service",
        "size",
        "status",
    }
)


def drop_unlisted(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep the fields of `ALLOWED`; a dropped one leaves no trace."""
    return {key: event[key] for key in event if key in ALLOWED}


def place_of(error: BaseException) -> str:
    """Where an exception came from, as file, line and function."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "unknown"
    last = frames[-1]
    return f"{last.filename.rpartition('/')[2]}:{last.lineno} {last.name}"


def configure_logs(level: str) -> None:
    """Write JSON lines to standard error from `level` upwards.

    The standard library's loggers below uvicorn are silenced to warnings:
    their access log would print addresses with query strings.
    """
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            drop_unlisted,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
