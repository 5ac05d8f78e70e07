"""Which `ibapi` is installed, what it can do, and whether it may be used.

Several distributions provide the module `ibapi`, and pip lets them overwrite each other in silence.
So the files are compared with what was installed, and capabilities are read from signatures, never
from a version string. Nothing else of `ibapi` is decided here, and nothing is imported before asked.
"""

import hashlib
import inspect
import logging
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from adapters.ibkr.wire.transport import OLDEST_SERVER_VERSION
from core.errors import BrokerLibraryUnusable

PROVIDERS = ("ibapi", "ibapi-stable")
"""The distributions most often met; a remedy names whatever others are found too."""


class Installation(msgspec.Struct, frozen=True):
    """The `ibapi` in use. An arity counts the arguments a caller gives, `self` left out."""

    distributions: tuple[str, ...]
    version: str
    max_client_version: int
    has_error_time: bool
    cancel_order_arity: int
    cancel_order_takes_text: bool
    global_cancel_arity: int
    has_commission_and_fees_report: bool
    interpret_arity: int


def installed() -> Installation:
    """Return what is installed; raises `BrokerLibraryUnusable`, with the remedy, if it may not trade."""
    folder = _folder()
    owners = list(owning(folder, distributions()))
    refuse_mixtures(folder, owners)
    found = _probe(owners)
    if found.max_client_version < OLDEST_SERVER_VERSION:
        raise BrokerLibraryUnusable(
            f"{_named(owners)} knows protocol versions up to {found.max_client_version}, expected "
            f"{OLDEST_SERVER_VERSION} or more: older ones cut fractional sizes to whole ones; "
            f"run: {remedy(owners)}"
        )
    return found


def load(module: str) -> Any:
    """Import a module of `ibapi`, and keep its own log quiet: what it has to say, we hear as errors."""
    logging.getLogger("ibapi").setLevel(logging.CRITICAL)
    return import_module(f"ibapi.{module}")


def owning(folder: Path, candidates: Iterable[Distribution]) -> Iterator[Distribution]:
    """Yield the distributions that claim to have installed this `ibapi` folder, each once."""
    seen = set()
    for distribution in candidates:
        root = Path(str(distribution.locate_file(""))).resolve()
        name = distribution.metadata["Name"]
        if root == folder.parent and (root, name) not in seen and _claims(distribution):
            seen.add((root, name))
            yield distribution


def refuse_mixtures(folder: Path, owners: Sequence[Distribution]) -> None:
    """Raise `BrokerLibraryUnusable` unless one distribution made all of the folder as it is now."""
    if len(owners) > 1:
        raise _mixed(folder, owners, f"{_named(owners)} overwrite each other's files")
    if not owners or owners[0].read_text("RECORD") is None:
        return  # an installation without a record of its files: nothing to compare with
    recorded = {
        Path(str(owners[0].locate_file(item))).resolve(): item.hash
        for item in owners[0].files or ()
        if item.parts[0] == folder.name and item.suffix == ".py"
    }
    present = set(folder.rglob("*.py"))
    wrong = [path for path, digest in recorded.items() if path not in present or not _equals(path, digest)]
    if odd := sorted({*wrong, *(present - recorded.keys())}):
        what = f"{len(odd)} files are not those of {_named(owners)}, such as {odd[0].name}"
        raise _mixed(folder, owners, what)


def remedy(owners: Sequence[Distribution] = ()) -> str:
    """Return the command that leaves one whole `ibapi`.

    All go first: without their shared files pip would still take one of them for installed.
    """
    names = dict.fromkeys((*PROVIDERS, *(item.metadata["Name"] for item in owners)))
    return f"pip uninstall -y {' '.join(names)} && pip install ibapi-stable"


def _folder() -> Path:
    spec = find_spec("ibapi")
    if spec is None or spec.origin is None:
        raise BrokerLibraryUnusable(
            f"the module ibapi is not installed, expected Interactive Brokers' Python API; run: {remedy()}"
        )
    return Path(spec.origin).resolve().parent


def _claims(distribution: Distribution) -> bool:
    # Egg installations of Interactive Brokers' own download have no RECORD, only top_level.txt.
    if "ibapi" in (distribution.read_text("top_level.txt") or "").split():
        return True
    return "\nibapi/__init__.py," in "\n" + (distribution.read_text("RECORD") or "")


def _equals(path: Path, digest: Any) -> bool:
    if digest is None:
        return True
    content = hashlib.new(digest.mode, path.read_bytes()).digest()
    return bool(urlsafe_b64encode(content).rstrip(b"=").decode() == digest.value)


def _mixed(folder: Path, owners: Sequence[Distribution], what: str) -> BrokerLibraryUnusable:
    return BrokerLibraryUnusable(
        f"{folder}: {what}; expected the files of one distribution, since a mixture can lose orders in "
        f"silence; run: {remedy(owners)}"
    )


def _named(owners: Sequence[Distribution]) -> str:
    return " and ".join(f"{item.metadata['Name']} {item.version}" for item in owners) or "ibapi"


def _probe(owners: Sequence[Distribution]) -> Installation:
    try:
        client = load("client").EClient
        wrapper = load("wrapper").EWrapper
        decoder = load("decoder").Decoder
        versions = load("server_versions")
    except ImportError as error:
        raise BrokerLibraryUnusable(
            f"{_named(owners)} cannot be imported ({error}), expected it with all it needs; "
            f"run: {remedy(owners)}"
        ) from error
    cancel = _parameters(client.cancelOrder)
    return Installation(
        distributions=tuple(item.metadata["Name"] for item in owners),
        version=owners[0].version if owners else str(getattr(sys.modules["ibapi"], "__version__", "")),
        max_client_version=int(versions.MAX_CLIENT_VER),
        has_error_time="errorTime" in _parameters(wrapper.error),
        cancel_order_arity=len(cancel),
        cancel_order_takes_text="manualCancelOrderTime" in cancel,
        global_cancel_arity=len(_parameters(client.reqGlobalCancel)),
        has_commission_and_fees_report=hasattr(wrapper, "commissionAndFeesReport"),
        interpret_arity=len(_parameters(decoder.interpret)),
    )


def _parameters(method: Any) -> list[str]:
    return list(inspect.signature(method).parameters)[1:]
