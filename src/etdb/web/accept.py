"""What an Accept header asks for (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_RANGES = 32


@dataclass(frozen=True)
class Accepted:
    """One media range: its type, its weight and its other parameters."""

    type: str
    weight: float = 1.0
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_accept(header: str) -> list[Accepted]:
    """The media ranges, the most wanted first; those with weight 0 are left out."""
    parts = header.split(",", MAX_RANGES)[:MAX_RANGES]
    known = [_parse_range(part) for part in parts if part.strip()]
    return sorted(
        (wanted for wanted in known if wanted.weight > 0),
        key=lambda wanted: -wanted.weight,
    )


def _parse_range(text: str) -> Accepted:
    name, *rest = (part.strip() for part in text.split(";"))
    pairs = [part.partition("=") for part in rest]
    parameters = {key.strip().lower(): value.strip(' "') for key, _, value in pairs}
    weight = parameters.pop("q", "1")
    return Accepted(name.lower(), _parse_weight(weight), parameters)


def _parse_weight(text: str) -> float:
    is_number = text.replace(".", "", 1).isdecimal() and text.isascii()
    return min(1.0, float(text[:6])) if is_number else 1.0
