"""Record types: everything stored besides users, declared once and kept by every store without code of its own."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from domain.errors import DomainError, InvalidRecord
from domain.values import UserId

Plain: TypeAlias = str | int | bool | datetime | bytes | Sequence["Plain"] | Mapping[str, "Plain"] | None
"""A field's value as plain data: enums become texts, tuples become lists, mappings become dicts."""

Json: TypeAlias = str | int | bool | Sequence["Json"] | Mapping[str, "Json"] | None
"""A plain value as JSON: times become integers (milliseconds since 1970), and bytes become Base64 (RFC 4648)."""

MAX_RECORD_BYTES: Final = 256 * 1024
MAX_KEY_BYTES: Final = 512
"""The maximum size of a key, and of the value of a unique field, in UTF-8."""

MAX_UNIQUE_FIELDS: Final = 3

MIN_TIME: Final = datetime(1000, 1, 1, tzinfo=UTC)
"""The earliest time that every store can keep."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MAX_BYTES_PER_CHARACTER: Final = 4  # of UTF-8
_NUMBER_BYTES: Final = 8
_SCALAR_TYPES: Final = {int, bool, datetime, bytes}


class Versioned(Protocol):
    @property
    def version(self) -> int: ...


R = TypeVar("R", bound=Versioned)


class FieldKind(Enum):
    __hash__ = object.__hash__  # Enum's own hash is a Python function, too slow for every conversion

    TEXT = auto()
    INTEGER = auto()
    BOOLEAN = auto()
    TIME = auto()
    BYTES = auto()
    ENUM = auto()
    TUPLE = auto()
    MAPPING = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an entity, or the items of a tuple or mapping field."""

    name: str
    kind: FieldKind
    type: type
    """The type to restore a text or an enum as."""

    optional: bool
    items: "Field | None" = None

    def to_plain(self, value: object) -> Plain:
        """Return a value as plain data. Raise `InvalidRecord` if some store could not keep it."""
        if value is None:
            if not self.optional:
                raise self.invalid("must not be None")
            return None
        return _TO_PLAIN[self.kind](self, value)

    def from_plain(self, plain: Any) -> Any:
        """Return the value from the result of `to_plain`."""
        return None if plain is None else _FROM_PLAIN[self.kind](self, plain)

    def to_json(self, plain: Any) -> Json:
        """Return a plain value as JSON."""
        if plain is None or self.kind not in _TO_JSON:
            json: Json = plain
            return json
        return _TO_JSON[self.kind](self, plain)

    def from_json(self, json: Any) -> Plain:
        """Return the plain value from the result of `to_json`."""
        if json is None or self.kind not in _FROM_JSON:
            plain: Plain = json
            return plain
        return _FROM_JSON[self.kind](self, json)

    def invalid(self, reason: str) -> InvalidRecord:
        return InvalidRecord(f"The field {self.name} cannot be stored: it {reason}.")

    @property
    def item_field(self) -> "Field":
        assert self.items is not None  # noqa: S101 - `_field_of` gives one to every tuple and mapping
        return self.items


class RecordType(Generic[R]):
    """The declaration of a record type, made once, next to its entity.

    ```python
    SESSIONS = RecordType("sessions", Session, key="id", owner="user_id", due="expires_at")
    ```

    The entity is a frozen dataclass with `version: int`. Supported field types are texts (and subclasses), 64-bit
    integers, booleans, aware UTC times in whole milliseconds, bytes, enums of texts, and tuples or string-keyed
    mappings of these. Any field may also be None.
    """

    def __init__(
        self,
        name: str,
        entity: type[R],
        *,
        key: str,
        owner: str | None = None,
        due: str | None = None,
        unique: Mapping[str, type[DomainError]] | None = None,
    ) -> None:
        """Declare a record type.

        Args:
            name: The name of the type, and of its table or collection.
            entity: The dataclass of its records.
            key: The text field that identifies a record.
            owner: The field with the id of the owning user. Removing that user removes the record.
            due: The time field that `Records.due` searches, which may be None.
            unique: Up to three text fields, which may be None; each with the error for a value that is taken.

        Raises:
            TypeError: No store could keep the declared records.
        """
        self.name: Final = name
        self.entity: Final = entity
        self.key: Final = key
        self.owner: Final = owner
        self.due: Final = due
        self.unique: Final[Mapping[str, type[DomainError]]] = MappingProxyType(dict(unique or {}))
        self.fields: Final[Mapping[str, Field]] = MappingProxyType(_fields_of(entity))
        self.secrets: Final = frozenset(field.name for field in fields(cast("Any", entity)) if not field.repr)
        """The fields that the entity's repr hides. Only a copy of the whole storage includes them; exports do not."""

        self._check_declaration()
        self._converters: Final = [(field.name, _converter(field)) for field in self.fields.values()]
        self._restorers: Final = [(field.name, _restorer(field)) for field in self.fields.values()]
        self._json_fields: Final = [field for field in self.fields.values() if field.kind in _TO_JSON]
        self._json_restorers: Final = [(field.name, _json_restorer(field)) for field in self.fields.values()]

    def __repr__(self) -> str:
        return f"RecordType({self.name!r})"

    def key_of(self, record: R) -> str:
        return str(getattr(record, self.key))

    def owner_of(self, record: R) -> UserId | None:
        return None if self.owner is None else getattr(record, self.owner)

    def due_of(self, record: R) -> datetime | None:
        return None if self.due is None else getattr(record, self.due)

    def unique_values_of(self, record: R) -> Mapping[str, str]:
        """Return the values of the unique fields, by field, without None."""
        values = {name: getattr(record, name) for name in self.unique}
        return {name: str(value) for name, value in values.items() if value is not None}

    def to_plain(self, record: R) -> dict[str, Plain]:
        """Return all fields as plain data.

        Raises:
            InvalidRecord: The record exceeds 256 KiB, a key or unique value does not have 1 to 512 bytes, or a value
                is not of its field's type.
        """
        plain = {name: to_plain(getattr(record, name)) for name, to_plain in self._converters}
        for name in (self.key, *self.unique):
            text = plain[name]
            if isinstance(text, str) and not 0 < len(text.encode()) <= MAX_KEY_BYTES:
                raise self.fields[name].invalid(f"must have 1 to {MAX_KEY_BYTES} bytes")
        if _max_size(plain) > MAX_RECORD_BYTES and _size(plain) > MAX_RECORD_BYTES:
            raise InvalidRecord(f"The record is too large to be stored: it must have at most {MAX_RECORD_BYTES} bytes.")
        return plain

    def from_plain(self, plain: Mapping[str, Any]) -> R:
        """Return the record from the result of `to_plain`. A missing field becomes None."""
        return self.entity(**{name: restore(plain.get(name)) for name, restore in self._restorers})

    def to_json(self, record: R) -> dict[str, Json]:
        """Return all fields as JSON. Raises as `to_plain` does."""
        json: dict[str, Any] = self.to_plain(record)
        for field in self._json_fields:
            json[field.name] = field.to_json(json[field.name])
        return json

    def from_json(self, json: Mapping[str, Any]) -> R:
        """Return the record from the result of `to_json`. A missing field becomes None."""
        return self.entity(**{name: restore(json.get(name)) for name, restore in self._json_restorers})

    def _check_declaration(self) -> None:
        if not self.name.isidentifier() or not self.name.islower() or len(self.name) > 40:
            raise TypeError(f"{self!r}: the name must be up to 40 lower-case letters, digits and _")
        for wanted, name, kind in (
            ("version", "version", FieldKind.INTEGER),
            ("key", self.key, FieldKind.TEXT),
            ("owner", self.owner, FieldKind.TEXT),
        ):
            if name is not None and (name not in self.fields or not self._is(name, kind) or self.fields[name].optional):
                raise TypeError(
                    f"{self!r}: its {wanted} must be a field of kind {kind.name.lower()} that is never None"
                )
        if self.due is not None and not self._is(self.due, FieldKind.TIME):
            raise TypeError(f"{self!r}: due must be a field of kind time")
        if len(self.unique) > MAX_UNIQUE_FIELDS or not all(self._is(name, FieldKind.TEXT) for name in self.unique):
            raise TypeError(f"{self!r}: at most {MAX_UNIQUE_FIELDS} fields can be unique, all of kind text")

    def _is(self, name: str, kind: FieldKind) -> bool:
        return name in self.fields and self.fields[name].kind is kind


def to_milliseconds(moment: datetime) -> int:
    """Return the milliseconds since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


def from_milliseconds(number: int) -> datetime:
    return _EPOCH + number * _MILLISECOND


def _fields_of(entity: type) -> dict[str, Field]:
    parameters = getattr(entity, "__dataclass_params__", None)
    if not is_dataclass(entity) or parameters is None or not parameters.frozen:
        raise TypeError(f"{entity.__name__} must be a frozen dataclass")
    hints = get_type_hints(entity)
    return {field.name: _field_of(field.name, hints[field.name]) for field in fields(entity)}


def _field_of(name: str, hint: Any) -> Field:
    choices = [choice for choice in get_args(hint) if choice is not NoneType]
    if get_origin(hint) in (Union, UnionType):
        if len(choices) != 1:
            raise TypeError(f"the field {name} must be of one type, or None")
        return _with_kind(name, choices[0], optional=True)
    return _with_kind(name, hint, optional=False)


def _with_kind(name: str, hint: Any, *, optional: bool) -> Field:
    match get_origin(hint), get_args(hint):
        case origin, (item, last) if origin is tuple and last is Ellipsis:
            return Field(name, FieldKind.TUPLE, tuple, optional, _field_of(name, item))
        case origin, (key, item) if isinstance(origin, type) and issubclass(origin, Mapping) and key is str:
            return Field(name, FieldKind.MAPPING, dict, optional, _field_of(name, item))
    if isinstance(hint, type):
        if issubclass(hint, Enum):
            if not all(isinstance(member.value, str) for member in hint):
                raise TypeError(f"the field {name} must be an enum of texts")
            return Field(name, FieldKind.ENUM, hint, optional)
        if issubclass(hint, str):
            return Field(name, FieldKind.TEXT, hint, optional)
        if hint in _SCALAR_TYPES:
            return Field(name, _KINDS[hint], hint, optional)
    raise TypeError(f"the field {name} is of a type that cannot be stored")


_KINDS: Final = {
    int: FieldKind.INTEGER,
    bool: FieldKind.BOOLEAN,
    datetime: FieldKind.TIME,
    bytes: FieldKind.BYTES,
}


def _plain_text(field: Field, value: object) -> Plain:
    if not isinstance(value, str) or isinstance(value, Enum):
        raise field.invalid("must be a text")
    if "\0" in value:
        raise field.invalid("must not contain NUL")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise field.invalid("must not contain lone surrogates") from None
    return str(value)


def _plain_integer(field: Field, value: object) -> Plain:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise field.invalid("must be an integer of 64 bits")
    return value


def _plain_boolean(field: Field, value: object) -> Plain:
    if not isinstance(value, bool):
        raise field.invalid("must be true or false")
    return value


def _plain_time(field: Field, value: object) -> Plain:
    if not isinstance(value, datetime) or value.tzinfo is not UTC or value < MIN_TIME or value.microsecond % 1000:
        raise field.invalid("must be a time in UTC since the year 1000, in whole milliseconds")
    return value


def _plain_bytes(field: Field, value: object) -> Plain:
    if not isinstance(value, bytes):
        raise field.invalid("must be bytes")
    return value


def _plain_enum(field: Field, value: object) -> Plain:
    if not isinstance(value, field.type) or not isinstance(value, Enum):
        raise field.invalid(f"must be a {field.type.__name__}")
    return str(value.value)


def _plain_tuple(field: Field, value: object) -> Plain:
    if not isinstance(value, tuple):
        raise field.invalid("must be a tuple")
    return [field.item_field.to_plain(item) for item in value]


def _plain_mapping(field: Field, value: object) -> Plain:
    if not isinstance(value, Mapping):
        raise field.invalid("must be a mapping")
    to_plain = field.item_field.to_plain
    return {str(_plain_text(field, key)): to_plain(item) for key, item in value.items()}


_TO_PLAIN: Final[Mapping[FieldKind, Callable[[Field, object], Plain]]] = {
    FieldKind.TEXT: _plain_text,
    FieldKind.INTEGER: _plain_integer,
    FieldKind.BOOLEAN: _plain_boolean,
    FieldKind.TIME: _plain_time,
    FieldKind.BYTES: _plain_bytes,
    FieldKind.ENUM: _plain_enum,
    FieldKind.TUPLE: _plain_tuple,
    FieldKind.MAPPING: _plain_mapping,
}

_FROM_PLAIN: Final[Mapping[FieldKind, Callable[[Field, Any], Any]]] = {
    FieldKind.TEXT: lambda field, plain: plain if field.type is str else field.type(plain),
    FieldKind.INTEGER: lambda _, plain: int(plain),
    FieldKind.BOOLEAN: lambda _, plain: bool(plain),
    FieldKind.TIME: lambda _, plain: plain,
    FieldKind.BYTES: lambda _, plain: bytes(plain),
    FieldKind.ENUM: lambda field, plain: field.type(plain),
    FieldKind.TUPLE: lambda field, plain: tuple(map(field.item_field.from_plain, plain)),
    FieldKind.MAPPING: lambda field, plain: MappingProxyType(
        {key: field.item_field.from_plain(item) for key, item in plain.items()}
    ),
}

_TO_JSON: Final[Mapping[FieldKind, Callable[[Field, Any], Json]]] = {
    FieldKind.TIME: lambda _, plain: to_milliseconds(plain),
    FieldKind.BYTES: lambda _, plain: b64encode(plain).decode(),
    FieldKind.TUPLE: lambda field, plain: [field.item_field.to_json(item) for item in plain],
    FieldKind.MAPPING: lambda field, plain: {key: field.item_field.to_json(item) for key, item in plain.items()},
}

_FROM_JSON: Final[Mapping[FieldKind, Callable[[Field, Any], Plain]]] = {
    FieldKind.TIME: lambda _, json: from_milliseconds(json),
    FieldKind.BYTES: lambda _, json: b64decode(json),
    FieldKind.TUPLE: lambda field, json: [field.item_field.from_json(item) for item in json],
    FieldKind.MAPPING: lambda field, json: {key: field.item_field.from_json(item) for key, item in json.items()},
}


def _text_converter(field: Field) -> Callable[[object], Plain]:
    expected = field.type

    def convert(value: object) -> Plain:
        if type(value) is expected and isinstance(value, str) and value.isascii() and "\0" not in value:
            return str(value)  # nearly all texts
        return field.to_plain(value)

    return convert


def _converter(field: Field) -> Callable[[object], Plain]:
    """Return `field.to_plain` with as few steps as its kind needs."""
    if field.kind is FieldKind.TEXT:
        return _text_converter(field)
    convert = _TO_PLAIN[field.kind]
    return lambda value: field.to_plain(None) if value is None else convert(field, value)


def _restorer(field: Field) -> Callable[[Any], Any]:
    """Return the function that restores a field's value, or None if its plain form is the value."""
    if field.kind in {FieldKind.TIME, FieldKind.BOOLEAN} or field.type is str:
        return lambda plain: plain
    if field.kind is FieldKind.TEXT and not field.optional:
        return field.type
    return field.from_plain


def _json_restorer(field: Field) -> Callable[[Any], Any]:
    if field.kind is FieldKind.TUPLE:
        restore_item = _json_restorer(field.item_field)
        return lambda json: None if json is None else tuple([restore_item(item) for item in json])
    restore = _restorer(field)
    if field.kind not in _FROM_JSON:
        return restore
    from_json = _FROM_JSON[field.kind]
    return lambda json: None if json is None else restore(from_json(field, json))


_SIZED: Final = (list, dict, bytes)


def _max_size(plain: Plain) -> int:
    """Return an upper bound of the size, without encoding any text."""
    if isinstance(plain, str):
        return _MAX_BYTES_PER_CHARACTER * len(plain)
    if isinstance(plain, list):
        return sum([_max_size(item) for item in plain])
    if isinstance(plain, dict):
        characters = sum(map(len, plain))
        size = 0
        for item in plain.values():
            if isinstance(item, str):
                characters += len(item)
            elif isinstance(item, _SIZED):
                size += _max_size(item)
            else:
                size += _NUMBER_BYTES
        return size + _MAX_BYTES_PER_CHARACTER * characters
    return len(plain) if isinstance(plain, bytes) else _NUMBER_BYTES


def _size(plain: Plain) -> int:
    if isinstance(plain, str):
        return len(plain.encode())
    if isinstance(plain, list):
        return sum([_size(item) for item in plain])
    if isinstance(plain, dict):
        return sum([len(name.encode()) + _size(item) for name, item in plain.items()])
    return len(plain) if isinstance(plain, bytes) else _NUMBER_BYTES
