"""Deferred: a frozen noun of which some fields are worked out when somebody first reads them."""

from __future__ import annotations

from typing import Any, Self


class Deferred:
    """For a frozen dataclass with slots, some of whose fields are dear and often not read at once, or at all.

    `deferred(source, ...)` takes what is known already; whatever else is read is taken from the attribute of the same
    name of `source`, once, and kept. From outside nothing shows: it is as equal, as printable and as good to pickle as
    one that was made with everything. Any thread may be the first to read; two at once work the same out twice.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, slots=True)
    ... class Sum(Deferred):
    ...     terms: tuple[int, ...]
    ...     total: int
    >>> class Adding:
    ...     @property
    ...     def total(self):
    ...         return 3
    >>> Sum.deferred(Adding(), terms=(1, 2)) == Sum((1, 2), 3)
    True
    """

    __slots__ = ("_source",)

    @classmethod
    def deferred(cls, source: object, **known: Any) -> Self:
        made = object.__new__(cls)
        put = object.__setattr__
        put(made, "_source", source)
        for name, value in known.items():
            put(made, name, value)
        return made

    def __getattr__(self, name: str) -> Any:
        # Python comes here only for what it did not find: an empty slot, or a name that there is not.
        fields = getattr(type(self), "__dataclass_fields__", {})
        if name not in fields or not hasattr(self, "_source"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        value = getattr(self._source, name)
        object.__setattr__(self, name, value)
        return value
