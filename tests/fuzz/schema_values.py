"""Values as the schemas of /openapi.json describe them, and at their borders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hostile

if TYPE_CHECKING:
    from random import Random

DEPTH_MAX = 6


class SchemaValues:
    """Makes values of the schemas in one OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._schemas = document["components"]["schemas"]

    def make(self, schema: dict[str, Any], chance: Random, depth: int = 0) -> object:
        """Return a value of the schema; mostly, since none is looked at in full."""
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        if depth > DEPTH_MAX or chance.random() < 0.03:
            return hostile.value(chance)
        choices = schema.get("enum") or [schema.get("const")]
        if choices != [None]:
            return chance.choice(choices)
        match schema.get("type"):
            case None if "anyOf" in schema or "oneOf" in schema:
                kinds = schema.get("anyOf") or schema["oneOf"]
                return self.make(chance.choice(kinds), chance, depth + 1)
            case "object":
                return self._object(schema, chance, depth)
            case "array":
                return self._array(schema, chance, depth)
            case kind:
                return _scalar(kind, schema, chance)

    def _array(
        self, schema: dict[str, Any], chance: Random, depth: int
    ) -> list[object]:
        count = chance.choice((0, 1, 1, 2, schema.get("maxItems", 3) + 1))
        items = schema.get("items", {})
        return [self.make(items, chance, depth + 1) for _ in range(count)]

    def _object(
        self, schema: dict[str, Any], chance: Random, depth: int
    ) -> dict[str, object]:
        required = schema.get("required", ())
        if isinstance(values := schema.get("additionalProperties"), dict):
            return {hostile.text(chance): self.make(values, chance, depth + 1)}
        return {
            name: self.make(one, chance, depth + 1)
            for name, one in schema.get("properties", {}).items()
            if name in required or chance.random() < 0.4
        }


def _scalar(kind: str | None, schema: dict[str, Any], chance: Random) -> object:
    if kind == "boolean":
        return chance.random() < 0.5
    if kind in {"integer", "number"}:
        low, high = schema.get("minimum", 0), schema.get("maximum", 2**53)
        step = 1 if kind == "integer" else 0.001
        return chance.choice((low, high, low - step, high + step, low + step))
    length = schema.get("maxLength", 20)
    return chance.choice((hostile.text(chance), "a", "a" * length, "a" * (length + 1)))
