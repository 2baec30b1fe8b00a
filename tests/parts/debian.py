"""Debian's packages, where this process may install them."""

import contextlib
import os
import shutil

from tests.parts.processes import output_of
from tests.parts.report import MissingPartError


def install_packages(*names: str) -> None:
    """Install packages with apt-get.

    Args:
        names: of the packages.

    Raises:
        MissingPartError: not root, not Debian, forbidden by
            ``CURTILAGE_NO_APT``, or apt-get failed.

    """
    apt = shutil.which("apt-get")
    if apt is None:
        msg = "there is no apt-get"
        raise MissingPartError(msg)
    if os.geteuid() != 0:
        msg = "apt-get needs root"
        raise MissingPartError(msg)
    if os.environ.get("CURTILAGE_NO_APT"):
        msg = "CURTILAGE_NO_APT is set"
        raise MissingPartError(msg)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    base = (apt, "-q", "-o", "DPkg::Lock::Timeout=600")
    # A list that cannot be renewed may still do; the installation tells.
    with contextlib.suppress(MissingPartError):
        output_of([*base, "update"], timeout=600, env=env)
    output_of(
        [*base, "install", "-y", "--no-install-recommends", *names],
        timeout=1200,
        env=env,
    )
