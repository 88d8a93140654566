"""A target as a table of the configuration file, and what differs between two of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from mahavishnu.cli.common.printing import cell
from mahavishnu.cli.common.shapes import Shape
from mahavishnu.cli.common.toml import key_text, table
from mahavishnu.model import Target
from mahavishnu.redaction import redacted, secrets_in, without_secrets

_USUAL = {"adapter": "local", "deployment": "local", "enabled": True}


@dataclass(frozen=True, slots=True)
class Change:
    """One key of a target that has another value. Neither value holds a secret."""

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.field} {cell(self.before)} → {cell(self.after)}"

    @property
    def shape(self) -> Shape:
        return {"field": self.field, "before": self.before, "after": self.after}


def table_of(target: Target) -> dict[str, Any]:
    """Every key that a table of the configuration file has. `TargetTable` makes the same target of it.

    >>> target = Target(name="a", adapter="local", run="m:f", task_types=frozenset({"t"}))
    >>> {key: value for key, value in table_of(target).items() if value}
    {'adapter': 'local', 'run': 'm:f', 'task_types': ['t'], 'deployment': 'local', 'enabled': True}
    """
    rates = asdict(target.cost_model)
    return {
        "adapter": target.adapter,
        "run": target.run,
        "task_types": sorted(target.task_types),
        "capabilities": sorted(target.capabilities),
        "cost_per_run": rates.pop("per_run_usd"),
        "cost": {name: rate for name, rate in rates.items() if rate != (1 if name == "monthly_runs" else 0)},
        "deployment": target.deployment,
        "timeout_ms": target.timeout_ms,
        "max_concurrent": target.max_concurrent,
        "max_cost_usd": target.max_cost_usd,
        "enabled": target.enabled,
        "options": dict(target.options),
    }


def changes_between(before: Target, after: Target) -> list[Change]:
    """What differs, key by key; an option and a rate are keys of their own."""
    was, becomes = _flat(before), _flat(after)
    return [
        Change(key, _shown(key, was.get(key)), _shown(key, becomes.get(key)))
        for key in dict.fromkeys([*was, *becomes])
        if was.get(key) != becomes.get(key)
    ]


def _flat(target: Target) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table_of(target).items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": held for name, held in value.items()}
        else:
            flat[key] = value
    return flat


def _shown(key: str, value: Any) -> Any:
    """As JSON has it, without secrets: an option that is named like one is hidden."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    hidden = without_secrets({key.partition(".")[2]: value})
    (shown,) = hidden.values()
    return redacted(shown) if isinstance(shown, str) else shown


# -- written to a file -------------------------------------------------------------------------------------------------


def lines_of(target: Target) -> Iterator[str]:
    """The table of a target, without what it has anyway and without what must not or cannot stand in a file."""
    kept = {key: value for key, value in table_of(target).items() if value and value != _USUAL.get(key)}
    if not target.enabled:
        kept["enabled"] = False
    left_out = unwritable(target)
    options = {name: value for name, value in target.options.items() if name not in left_out}
    kept.pop("options", None)
    for name, why in left_out.items():
        yield f"# options.{key_text(name)} is left out: {why}."
    yield from table(f"targets.{key_text(target.name)}", {**kept, **({"options": options} if options else {})})


def unwritable(target: Target) -> Mapping[str, str]:
    """The options that no file takes, each with the reason."""
    reasons = {name: _why_not(name, value) for name, value in target.options.items()}
    return {name: why for name, why in reasons.items() if why is not None}


def _why_not(name: str, value: Any) -> str | None:
    text = json.dumps(value)
    if secrets_in({name: value}) or redacted(text) != text:
        return "it holds a secret; put that in an environment variable, and name the variable"
    return "it holds null, which TOML does not have" if _has_null(value) else None


def _has_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_null(held) for held in value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return any(_has_null(held) for held in value)
    return value is None
