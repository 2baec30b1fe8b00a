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

_PLAIN = "uvicorn"
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


class LibraryHandler(logging.Handler):
    """Brings what libraries log under the same rule.

    Their messages may quote what they were given, so a record is told by
    its level, its place and the class of its exception. The server's own
    sentences (an address in use, a malformed request) quote nothing and
    are kept, without the exception beneath.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        error = record.exc_info[1] if record.exc_info else None
        quiet = record.name.startswith(_PLAIN) and error is None
        structlog.get_logger().log(
            record.levelno,
            record.getMessage() if quiet else "library",
            error=type(error).__name__ if error else "",
            place=place_of(error)
            if error
            else f"{record.filename}:{record.lineno} {record.funcName}",
        )


def configure_logs(level: str) -> None:
    """Write JSON lines to standard error from `level` upwards.

    The standard library's loggers write through `LibraryHandler`, from
    warnings upwards; the server's access log is off, because it would print
    addresses with query strings.
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
    root = logging.getLogger()
    for old in root.handlers:
        if isinstance(old, LibraryHandler):
            root.removeHandler(old)
    root.addHandler(LibraryHandler(logging.WARNING))
    logging.captureWarnings(capture=True)
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
