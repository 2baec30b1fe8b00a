"""The doors' errors, told as the pages' own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.pages.errors import Conflict, FormInvalid, NoDecision, NotFound
from consent import LedgerUnavailable
from policy import FactsChanged, PersonUnknown
from policy import NoDecision as GateNoDecision
from vault import InvalidValue, UnknownAttribute, UnknownDispute


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turn the doors' errors into the pages'."""
    try:
        yield
    except (GateNoDecision, LedgerUnavailable):
        msg = "the gate gave no decision"
        raise NoDecision(msg) from None
    except FactsChanged as error:
        raise Conflict(str(error)) from None
    except (PersonUnknown, UnknownAttribute, UnknownDispute) as error:
        raise NotFound(str(error)) from None
    except InvalidValue as error:
        if error.attribute == "statement":
            raise FormInvalid(str(error)) from None
        raise NotFound(str(error)) from None
