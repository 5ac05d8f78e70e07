"""A strategy's declared parameters: what they are, and values for them, checked all at once."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from app.plugins.discovery import FoundStrategy
from core.errors import UsageError
from core.strategy import AnyStrategy, Parameters


class ParameterInfo(msgspec.Struct, frozen=True):
    """A declared parameter; `required` ones have no default."""

    name: str
    type: str
    required: bool
    default: Any


def describe(kind: type[AnyStrategy]) -> list[ParameterInfo]:
    """Return the declared parameters of a strategy, in their order."""
    return [
        ParameterInfo(
            field.name,
            _type_name(field.type),
            field.required,
            None if field.default is msgspec.NODEFAULT else field.default,
        )
        for field in msgspec.structs.fields(kind.parameters)
    ]


def parameters(found: FoundStrategy, values: Mapping[str, Any]) -> Parameters:
    """Return `values` (text is converted) as the declared parameters; `UsageError` lists every problem."""
    declared = {field.name: field for field in msgspec.structs.fields(found.type.parameters)}
    values = {name: _listed(declared[name].type, v) if name in declared else v for name, v in values.items()}
    problems = [unknown(found.name, key, declared) for key in values if key not in declared]
    for name, field in declared.items():
        if name not in values:
            if field.required:
                problems.append(f"{found.name}: needs a value for {name!r}: --set {name}=…")
            continue
        try:
            converted(values[name], field.type)
        except msgspec.ValidationError as error:
            problems.append(f"{found.name}: {name}={values[name]!s}: {_worded(error)}")
    if problems:
        raise UsageError("\n".join(problems))
    try:
        return msgspec.convert(dict(values), found.type.parameters, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{found.name}: {_worded(error)}") from error


def converted(value: Any, kind: Any) -> Any:
    """Return `value` (text is converted) as a `kind`; raises `msgspec.ValidationError`."""
    found = msgspec.convert(value, kind, strict=False)
    if _exact(found) and not all(one.isascii() for one in _items(value) if isinstance(one, str)):
        # Decimal reads the digits of every script, int and float of msgspec those from 0 to 9.
        raise msgspec.ValidationError("Expected a number in the digits 0 to 9")
    return found


def _exact(found: Any) -> bool:
    return any(isinstance(one, Decimal) for one in _items(found))


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple | set | frozenset) else (value,)


def _listed(kind: Any, value: Any) -> Any:
    """Return text as a list where only a list will do: `--set names=A,B`, or TOML as in `["A", "B"]`."""
    kinds = _kinds(kind)
    if not isinstance(value, str) or str in kinds or not kinds & {list, tuple, set, frozenset}:
        return value
    if value.lstrip().startswith("["):
        import tomllib  # noqa: PLC0415  # few parameters are lists

        try:
            return tomllib.loads(f"it = {value}")["it"]
        except tomllib.TOMLDecodeError:
            return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _kinds(kind: Any) -> set[Any]:
    """Return the types that a parameter takes, without what they hold."""
    plain = getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
    if get_origin(plain) in (Union, UnionType):
        return {get_origin(one) or one for one in get_args(plain)}
    return {get_origin(plain) or plain}


def _worded(error: msgspec.ValidationError) -> str:
    text = str(error).replace("`", "")
    return text[:1].lower() + text[1:]


def unknown(strategy: str, key: str, declared: Iterable[str]) -> str:
    """Return what to say of a parameter that a strategy does not have."""
    from difflib import get_close_matches  # noqa: PLC0415  # only for a message

    near = get_close_matches(key, list(declared), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(declared) or 'none'}"
    return f"{strategy}: no parameter {key!r}; {hint}"


def _type_name(kind: Any) -> str:
    plain = getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
    return str(plain) if get_origin(plain) else getattr(plain, "__name__", None) or str(plain)
