"""What a client may ask for: the shape of a request, checked before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from gateway.large_json import Bounds
from gateway.names import NAME_BYTES_MAX, PATTERN, check_name
from gateway.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sized

    from pydantic.config import JsonDict

_ERRORS_MAX = 20
_FIELDS_MAX = 64
"""Of one object: more are not looked at."""
_FILE_FIELDS_MAX = 16
"""Of one file: there are many of these, and each wrong field takes its time."""
_FIELD_CHARS_MAX = 100
_BASE64 = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_TEXTS_OF_AN_ENTRY = 8
"""A file has three fields, each with a name and a value."""
_BYTES_BESIDE_A_TEXT = 64
"""Room for who indents."""
_PREFIX = "Value error, "


def _check_text(text: str) -> str:
    # JSON can spell half a surrogate pair, which no encoding can carry on.
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("has half a surrogate pair in it") from None
    return text


def _to_whole(number: object) -> object:
    # To JSON, 64.0 is a whole number like any other.
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number


Whole = Annotated[int, BeforeValidator(_to_whole)]
Text = Annotated[str, AfterValidator(_check_text)]
Word = Annotated[str, Field(pattern=r"^[^\x00]*$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
FileName = Annotated[
    str,
    AfterValidator(_check_text),
    AfterValidator(check_name),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "maxLength": NAME_BYTES_MAX}),
]


def _optional(absent: object, **bounds: Any) -> Any:
    # What stands for an absent field is out of its bounds, so no client can send it; or
    # it is an object of nothing but such, which a schema must not show either.
    return Field(default=absent, json_schema_extra=_without_default, **bounds)


def _none_of(kind: type[list[Any] | dict[str, Any]]) -> Any:
    # Not a value, which pydantic would copy for each request.
    return Field(default_factory=kind, json_schema_extra={"default": kind()})


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: object) -> object:
        """Take null for a field that may be absent as its absence.

        Many languages' clients have no other way to leave one out.
        """
        if not isinstance(given, dict) or None not in given.values():
            return given
        fields = cls.model_fields
        optional = {name for name in fields if not fields[name].is_required()}
        return {
            name: value
            for name, value in given.items()
            if value is not None or name not in optional
        }


_PLAIN: JsonDict = {"properties": {"encoding": {"const": "utf-8"}}}
_IN_BASE64: JsonDict = {
    "properties": {"encoding": {"const": "base64"}, "content": {"pattern": _BASE64}},
    "required": ["encoding"],
}


class FileRequest(_Model):
    """One file of a job."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [_PLAIN, _IN_BASE64]})

    name: FileName
    content: Text
    encoding: Literal["utf-8", "base64"] = "utf-8"
    mode: Literal["644", "755"] = _optional("")
    """Absent: a file that begins with `#!` is executable."""


class CompileLimitsRequest(_Model):
    """What a compile step may use; 0 stands for the language's default."""

    wall_time_s: float = _optional(0, ge=0.1)
    cpu_time_s: float = _optional(0, ge=0.1)
    memory_mb: Whole = _optional(0, ge=16)


class LimitsRequest(_Model):
    """What the job may use; 0 stands for the language's default.

    A compile step has limits of its own, whatever its program may use: `compile` asks
    for others, and means nothing to a language that has no such step.
    """

    wall_time_s: float = _optional(0, ge=0.1)
    cpu_time_s: float = _optional(0, ge=0.1)
    memory_mb: Whole = _optional(0, ge=16)
    output_kb: Whole = _optional(0, ge=1)
    processes: Whole = _optional(0, ge=1)
    file_size_kb: Whole = _optional(0, ge=1)
    open_files: Whole = _optional(0, ge=8)
    stack_kb: Whole = _optional(0, ge=128)
    compile: CompileLimitsRequest = _optional(CompileLimitsRequest())


class JobRequest(_Model):
    """The body of `POST /v1/jobs`: exactly one of `source` and `files`."""

    language: Text
    source: Text = _optional("", min_length=1)
    files: list[FileRequest] = Field(default_factory=list, min_length=1)
    stdin: Text = ""
    stdin_open: bool = False
    args: list[Word] = _none_of(list)
    compile_args: list[Word] = _none_of(list)
    env: dict[Variable, Word] = _none_of(dict)
    limits: LimitsRequest = _optional(LimitsRequest())


def bounds_of(entries_max: Mapping[str, int]) -> Bounds:
    """Return what any request may have, even one that is wrong in many fields."""
    texts_max = _TEXTS_OF_AN_ENTRY * sum(entries_max.values()) + 4 * _FIELDS_MAX
    return Bounds(texts_max, _BYTES_BESIDE_A_TEXT * texts_max)


def parse_request(document: object, entries_max: Mapping[str, int]) -> JobRequest:
    """Return the request, or raise the Problem with one entry a field.

    entries_max: how many a field may have that has any number of them.
    """
    if not isinstance(document, dict):
        raise Problem.invalid(("", "The body must be a JSON object."))
    crowds = [*_crowds(document, entries_max)]
    if crowds:
        raise Problem.invalid(*crowds)
    try:
        return JobRequest.model_validate(document)
    except ValidationError as fault:
        raise Problem.invalid(*_errors(fault)) from fault


def _crowds(
    document: Mapping[str, Any], entries_max: Mapping[str, int]
) -> Iterator[tuple[str, str]]:
    """Tell what has too many entries.

    Before all else: a body has room for millions, and to say what is wrong with each
    takes a minute and gigabytes.
    """
    if len(document) > _FIELDS_MAX:
        yield "", _crowd(document, _FIELDS_MAX)
        return
    for name, value in document.items():
        most = _FIELDS_MAX if name == "limits" else entries_max.get(name)
        if most is None or not isinstance(value, dict | list):
            continue
        if len(value) > most:
            yield name, _crowd(value, most)
        elif name == "files":
            for number, one in enumerate(value):
                if isinstance(one, dict | list) and len(one) > _FILE_FIELDS_MAX:
                    yield f"files.{number}", _crowd(one, _FILE_FIELDS_MAX)


def _crowd(value: Sized, most: int) -> str:
    return f"has {len(value)} entries; {most} are allowed"


def _errors(fault: ValidationError) -> list[tuple[str, str]]:
    errors = fault.errors(include_url=False, include_context=False, include_input=False)
    return [
        (
            _field(error["loc"]),
            error["msg"].removeprefix(_PREFIX),
        )
        for error in errors[:_ERRORS_MAX]
    ]


def _field(path: tuple[int | str, ...]) -> str:
    # Pydantic's word for the name of an entry says nothing to a client.
    names = (str(part) for part in path if part != "[key]")
    return ".".join(names)[:_FIELD_CHARS_MAX]
