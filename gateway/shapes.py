"""What schemas are made of."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number", "minimum": 0}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}


def ref(name: str) -> Schema:
    """Return a reference to one of `schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(required: Schema, *optional: Schema) -> Schema:
    """Return an object that has all of the first, and may have all of the others."""
    properties = dict(required)
    for more in optional:
        properties |= more
    return {"type": "object", "required": [*required], "properties": properties}


def list_of(items: Schema) -> Schema:
    """Return a list of these."""
    return {"type": "array", "items": items}


def map_of(values: Schema) -> Schema:
    """Return an object with any names, each for one of these."""
    return {"type": "object", "additionalProperties": values}


def or_null(schema: Schema) -> Schema:
    """Return this, or nothing."""
    return {"anyOf": [schema, {"type": "null"}]}
