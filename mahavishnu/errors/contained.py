"""Keeping what is raised."""

from __future__ import annotations


class Contained:
    """Keeps whatever is raised inside it; what follows the `with` runs only after a failure.

    SystemExit and KeyboardInterrupt are kept too: on their way out of an asyncio task they would end the event loop,
    and with it every other run of the process.
    """

    __slots__ = ("failure",)
    failure: BaseException

    def __enter__(self) -> Contained:
        return self

    def __exit__(self, kind: object, failure: BaseException | None, traceback: object) -> bool:
        if failure is not None:
            self.failure = failure
        return True
