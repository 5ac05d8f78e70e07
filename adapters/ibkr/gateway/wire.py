"""The wire's alphabet: frames, fields and how values are written in them. Pure, no sockets.

Owns framing (4-byte big-endian length), NUL-terminated text fields, the handshake's two exceptions to it,
and the sentinels that stand for "unset". Knows no message. Written against the wire, never against a client
library, so that a mistake of our client cannot hide behind the same mistake here.
"""

from collections.abc import Iterable
from decimal import Decimal
from math import isfinite

API_SIGN = b"API\0"
FRAME_MAX = 0xFFFFFF
VERSION_MIN, VERSION_MAX = 100, 200
"""Server versions that are text throughout; from 201 on messages have binary ids and protobuf bodies."""

ASCII7 = 153
"""From this server version on, text outside ASCII travels as `\\uXXXX`."""

UNSET_DOUBLE = "1.7976931348623157E308"
_LARGEST = Decimal(10**15)  # quantities, prices and amounts: beyond it, eight decimals are not exact
UNSET_INTEGER = "2147483647"
UNSET_LONG = "9223372036854775807"
_UNSET = {"", "1.7976931348623157e+308", UNSET_DOUBLE.lower(), UNSET_INTEGER, UNSET_LONG, "infinity"}

Value = str | int | float | Decimal | bool | None


class BadFrame(ValueError):
    """Bytes or fields that are not what the protocol says at this place."""


class Frames:
    """Cuts a stream into frames, whatever the pieces in which it arrives."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._greeted = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that are complete now; raises `BadFrame` for an impossible length.

        The client's first four bytes, `API` and a NUL, have no length; they are cut off.
        """
        held = self._held
        held += data
        if not self._greeted:
            if len(held) < len(API_SIGN):
                return []
            if not held.startswith(API_SIGN):
                raise BadFrame(f"the connection begins with {bytes(held[:8])!r}; expected {API_SIGN!r}")
            del held[: len(API_SIGN)]
            self._greeted = True
        found: list[bytes] = []
        start = 0
        while len(held) - start >= 4:
            length = int.from_bytes(held[start : start + 4], "big")
            if not 0 < length <= FRAME_MAX:
                raise BadFrame(f"a frame of {length} bytes; expected 1 to {FRAME_MAX}")
            if len(held) - start - 4 < length:
                break
            found.append(bytes(held[start + 4 : start + 4 + length]))
            start += 4 + length
        del held[:start]
        return found


def frame(payload: bytes) -> bytes:
    """Return the payload behind its length."""
    return len(payload).to_bytes(4, "big") + payload


def message(values: Iterable[Value]) -> bytes:
    """Return a frame of these values as fields; text must be ASCII (see `text`)."""
    return frame("".join([f"{field(value)}\0" for value in values]).encode("ascii", "replace"))


def field(value: Value) -> str:
    """Return a value as the wire writes it: booleans as 0 and 1, `None` as an empty field."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value)
    return number(value)


def number(value: float | Decimal) -> str:
    """Return a number without exponent and without a fraction that is nothing; NaN and infinity as unset."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if not isfinite(value):
        return UNSET_DOUBLE
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    shown = repr(value)
    return format(Decimal(shown), "f") if "e" in shown else shown


def text(value: str, version: int) -> str:
    """Return free text as fields may carry it: without NUL, escaped to ASCII where clients expect that."""
    clean = value.replace("\0", " ")
    if version >= ASCII7:
        return clean.encode("ascii", "backslashreplace").decode("ascii")
    return clean.encode("ascii", "replace").decode("ascii")


def fields_of(payload: bytes) -> list[str]:
    """Return the fields of a text payload; raises `BadFrame` if it does not end in a NUL or is not text."""
    if not payload.endswith(b"\0"):
        raise BadFrame(f"the message {payload[:40]!r} does not end in a NUL")
    try:
        return payload[:-1].decode("utf-8").split("\0")
    except UnicodeDecodeError as error:
        raise BadFrame(f"the message {payload[:40]!r} is not text") from error


def unset(shown: str) -> bool:
    """Return whether a field stands for "not given", in any of the spellings that clients use."""
    return shown.lower() in _UNSET


def whole(shown: str) -> int | None:
    """Return an integer of at most 64 bits, also one written as `1.0` or `1e3`; `None` for anything else."""
    try:
        found = int(float(shown)) if "." in shown or "e" in shown.lower() else int(shown)
    except (ValueError, OverflowError):
        return None
    return found if -(1 << 63) <= found < 1 << 63 else None


class Cursor:
    """Reads a request's fields one after the other; every failure names the field."""

    __slots__ = ("_at", "fields")

    def __init__(self, fields: list[str], start: int = 0) -> None:
        self.fields = fields
        self._at = start

    def text(self, name: str) -> str:
        """Return the next field as it is; raises `BadFrame` if there is none."""
        if self._at >= len(self.fields):
            raise BadFrame(f"{name}: the message ends before field {self._at}")
        value = self.fields[self._at]
        self._at += 1
        return value

    def rest(self) -> list[str]:
        """Return what has not been read."""
        return self.fields[self._at :]

    def skip(self, count: int) -> None:
        """Leave out fields that mean nothing here."""
        self._at += count

    def integer(self, name: str, default: int = 0) -> int:
        """Return an integer; `default` if unset."""
        value = self.text(name)
        if unset(value):
            return default
        found = whole(value)
        if found is None:
            raise BadFrame(f"{name}: expected an integer, not {value[:40]!r}")
        return found

    def decimal(self, name: str) -> Decimal | None:
        """Return an exact number, or `None` if unset."""
        value = self.text(name)
        if unset(value):
            return None
        try:
            found = Decimal(value)
        except ArithmeticError as error:
            raise BadFrame(f"{name}: expected a number, not {value!r}") from error
        if not found.is_finite() or abs(found) >= Decimal("1e30"):
            return None
        if abs(found) >= _LARGEST:
            raise BadFrame(f"{name}: expected a number below {_LARGEST:,}, not {value[:40]}")
        return found

    def boolean(self, name: str) -> bool:
        """Return a flag; clients write 0 and 1, some `true`."""
        return self.text(name).strip().lower() not in ("", "0", "false")


def client_range(payload: bytes) -> tuple[int, int]:
    """Return the versions that a client offers: `v100..200` or `v157`, options after a space.

    Raises `BadFrame` for anything else.
    """
    offered, _, _options = payload.decode("ascii", "replace").rstrip("\0").partition(" ")
    low, dots, high = offered.removeprefix("v").partition("..")
    first, last = whole(low), whole(high if dots else low)
    if not offered.startswith("v") or first is None or last is None:
        raise BadFrame(f"the handshake offers {offered[:40]!r}; expected such as v100..200")
    return first, last
