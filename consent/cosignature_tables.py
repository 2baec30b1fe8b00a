"""The table of what witnesses cosigned; it stands in the data database."""

from sqlalchemy import BigInteger, LargeBinary
from sqlmodel import Field

from consent.tables import ConsentTable

_GIVEN = {"autoincrement": False}


class CosignatureRow(ConsentTable, table=True):
    """One witness's signature line on one checkpoint.

    A line needs no seal: whoever reads it verifies it.
    """

    __tablename__ = "ledger_cosignature"

    ledger: int = Field(primary_key=True, sa_column_kwargs=_GIVEN)
    size: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs=_GIVEN
    )
    name: str = Field(primary_key=True, max_length=255)
    key_id: bytes = Field(primary_key=True, sa_type=LargeBinary)
    signature: bytes = Field(sa_type=LargeBinary)
    at: int = Field(sa_type=BigInteger)
