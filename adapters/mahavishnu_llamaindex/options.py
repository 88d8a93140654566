"""What a target's `options` may say."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mahavishnu.errors import Misconfigured, did_you_mean, nearest_name
from mahavishnu.errors.wording import in_plain_words
from mahavishnu.model import Target


class Options(BaseModel):
    """The options of one target; none of them is needed by every kind of target."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    embed_model: str | None = Field(default=None, description="module:object of the model that an index was built with")
    llm: str | None = Field(default=None, description="module:object of what writes the answer; none: retrieval only")
    top_k: int = Field(default=2, ge=1, le=1000, description="how many passages an index is asked for")
    streaming: bool = Field(default=False, description="let an index's answer come bit by bit")
    quality: Literal["retrieval", "retrieval_max"] | None = Field(
        default=None,
        description="report the mean (or the highest) similarity of the passages, cut to 0..1, as the quality of an "
        "answer: a signal of how well the question fits what is there, not a judgement of what was answered",
    )
    text_as: str | None = Field(default=None, description="the field of a workflow's start event that takes the text")
    in_thread: bool | None = Field(default=None, description="whether to ask in a thread; none: where it would block")
    key_env: str | None = Field(default=None, description="the environment variable that holds a server's key")


def options_of(target: Target) -> Options:
    """Validated. Raises Misconfigured for the first one that is unknown or wrong, without its value."""
    try:
        return Options.model_validate(dict(target.options))
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = list(Options.model_fields)
        nearest = nearest_name(name, known)
        hint = did_you_mean(nearest) or f"; it has {', '.join(known)}"
        raise Misconfigured(f'target "{target.name}" has an unknown option "{name}"{hint}')
    what = in_plain_words(first["msg"])
    raise Misconfigured(f'target "{target.name}": option "{name}" {what}')
