"""What can be set for one target: the options of a model."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from mahavishnu.errors import Misconfigured, did_you_mean, nearest_name
from mahavishnu.errors.wording import in_plain_words
from mahavishnu.model import Target

_OURS = frozenset({"model", "messages", "stream", "stream_options"})
"""What the adapter itself says in a request."""


class ModelOptions(BaseModel):
    """The options of a target. What is left out is the adapter's, or the server's own default.

    `extra` goes into every request as it is, for whatever a server knows besides. `stream` has the answer sent bit by
    bit also where nobody watches, so that a server which never begins is given up after `first_token_ms`.
    `stream_usage=False` is for servers that do not know `stream_options`, `listed=False` for those that run models
    which their list does not name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str | None = None
    api_key_env: str | None = None
    organization: str | None = None
    system: str | None = None
    temperature: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    max_tokens: int | None = Field(default=None, ge=1)
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    stream: bool = False
    stream_usage: bool = True
    first_token_ms: int | None = Field(default=None, ge=1)
    listed: bool = True

    @model_validator(mode="after")
    def _extra_is_extra(self) -> Self:
        taken = sorted(_OURS & self.extra.keys())
        if taken:
            raise ValueError(f"extra must not hold {', '.join(taken)}; the adapter fills that in itself")
        return self


def options_of(target: Target) -> ModelOptions:
    """The options of a target. Raises Misconfigured, which never repeats a value: it may be a secret."""
    known = list(ModelOptions.model_fields)
    for name in target.options:
        if name not in known:
            nearest = nearest_name(name, known)
            hint = did_you_mean(nearest) or f"; a model has {', '.join(known)}"
            raise Misconfigured(f'target "{target.name}": unknown option "{name}"{hint}')
    try:
        return ModelOptions.model_validate(dict(target.options))
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        said = in_plain_words(first["msg"])
        raise Misconfigured(f'target "{target.name}": {f"option {place} " if place else "option "}{said}') from None
