"""Extracts that were taken for a service, by that service's credential.

A service cannot ask for people's rows here: an analyst requests and a
compliance officer takes, at the release desk. What was taken for exactly
this (service, purpose) can be fetched.
"""

import asyncio
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, JSONResponse

from api.callers import service_caller
from api.platform import Platform
from policy import Credential, RecordUnknown

FOLDER = "extracts"
_FILES = frozenset(
    {"data.csv", "report.json", "report.md", "manifest.json", "proof.json"}
)
_NO_STORE = {"Cache-Control": "no-store"}


def extracts_router(platform: Platform) -> APIRouter:
    """Routes for the recipients of extracts."""
    router = APIRouter(prefix="/v1/extracts", tags=["analytics"])
    caller = service_caller(platform)
    Caller = Annotated[Credential, Depends(caller)]  # noqa: N806 - a type

    @router.get("")
    async def extracts(credential: Caller) -> JSONResponse:
        """The extracts of the caller's service and purpose."""
        found = [
            {
                "release": str(one.id),
                "at": one.at,
                "outcome": one.outcome,
                "rows": one.rows,
                "manifest": one.manifest,
            }
            for one in await asyncio.to_thread(platform.releases.releases)
            if (one.service, one.purpose)
            == (credential.service, credential.purpose)
        ]
        return JSONResponse({"extracts": found}, headers=_NO_STORE)

    @router.get("/{release}/{name}")
    async def file(
        release: UUID, name: str, credential: Caller
    ) -> FileResponse:
        """One file of an extract: data, report or manifest."""
        mine = any(
            one.id == release
            and platform.releases.usable(one)
            and (one.service, one.purpose)
            == (credential.service, credential.purpose)
            for one in await asyncio.to_thread(platform.releases.releases)
        )
        path = extract_folder(platform.settings.home, release) / name
        if not mine or name not in _FILES or not path.is_file():
            msg = f"extract {release} has no such file for this caller"
            raise RecordUnknown(msg)
        return FileResponse(path, headers=_NO_STORE)

    return router


def extract_folder(home: Path, release: UUID) -> Path:
    """Where an extract stands that was taken for fetching over HTTP."""
    return home / FOLDER / str(release)


def put_aside(home: Path, release: UUID) -> None:
    """Move an extract to where nobody fetches it, if it stands here.

    Its row says so, too; but a row can be put back, and this cannot.
    """
    folder = extract_folder(home, release)
    if folder.is_dir():
        folder.rename(folder.with_name(f"{release}.recalled"))
