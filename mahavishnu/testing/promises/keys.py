"""What a store promises of idempotency keys."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from mahavishnu.errors import (
    KeyReused,
    UnknownName,
)
from mahavishnu.ports import Claim, Settlement
from mahavishnu.testing.promises.places import (
    Opener,
    Promise,
    opened,
    raised,
    samples,
    two,
)
from mahavishnu.testing.samples import ODD_TEXT


async def of_many_claims_of_one_key_one_wins(opener: Opener) -> None:
    async with two(opener) as (one, other):
        claims = await asyncio.gather(*((one, other)[n % 2].claim("key", "print", f"decision-{n}") for n in range(50)))
        (winner,) = (claim for claim in claims if claim.mine)
        assert {claim.decision_id for claim in claims} == {winner.decision_id}
        assert not any(claim.over for claim in claims)
        # The winner's own claim again is no second run's.
        assert await one.claim("key", "print", winner.decision_id) == winner


async def a_key_answers_for_ever_after_a_success_and_is_free_after_anything_else(opener: Opener) -> None:
    make = samples()
    async with two(opener) as (one, other):
        key = ODD_TEXT
        assert (await one.claim(key, "print", "first")).mine
        assert await other.holder(key) == Claim(decision_id="first", mine=False, over=False)
        await one.record([], settle=Settlement(key=key, decision_id="first", succeeded=False))
        assert await other.holder(key) is None
        decision = make.decision()
        assert (await other.claim(key, "print", decision.id)).mine
        success = Settlement(key=key, decision_id=decision.id, succeeded=True)
        await other.record([decision, *make.run(decision)], settle=success)
        over = Claim(decision_id=decision.id, mine=False, over=True)
        assert await one.claim(key, "print", "third") == await one.holder(key) == over
        await one.record([], settle=Settlement(key=key, decision_id=decision.id, succeeded=False))
        assert await one.claim(key, "print", decision.id) == over


async def a_key_belongs_to_one_task(opener: Opener) -> None:
    async with two(opener) as (one, other):
        await one.claim("key", "print", "first")
        error = await raised(KeyReused, other.claim("key", "another", "second"))
        assert (error.key, error.decision_id) == ("key", "first")
        await one.record([], settle=Settlement(key="key", decision_id="first", succeeded=False))
        assert (await other.claim("key", "another", "second")).mine


async def only_the_holder_of_a_key_settles_it(opener: Opener) -> None:
    async with opened(opener) as store:
        await store.claim("key", "print", "first")
        for succeeded in (True, False):
            await store.record([], settle=Settlement(key="key", decision_id="second", succeeded=succeeded))
        assert await store.holder("key") == Claim(decision_id="first", mine=False, over=False)


async def a_record_that_fails_settles_nothing(opener: Opener) -> None:
    make = samples()
    async with opened(opener) as store:
        await store.claim("key", "print", "first")
        nobody = replace(make.outcome(make.decision(), completed=True), decision_id="nobody")
        success = Settlement(key="key", decision_id="first", succeeded=True)
        await raised(UnknownName, store.record([nobody], settle=success))
        assert await store.holder("key") == Claim(decision_id="first", mine=False, over=False)


async def the_key_of_a_process_that_is_gone_goes_to_the_next(opener: Opener) -> None:
    make = samples()
    done = make.decision()
    async with opened(opener) as gone:
        await gone.claim("left", "print", "first")
        await gone.claim("done", "print", done.id)
        await gone.record([done, *make.run(done)])
    async with two(opener) as (one, other):
        assert await one.holder("left") is None
        claims = await asyncio.gather(*((one, other)[n % 2].claim("left", "print", f"next-{n}") for n in range(10)))
        assert sum(claim.mine for claim in claims) == 1
        over = Claim(decision_id=done.id, mine=False, over=True)
        assert await one.claim("done", "print", "next") == await other.holder("done") == over


PROMISES: Sequence[Promise] = (
    of_many_claims_of_one_key_one_wins,
    a_key_answers_for_ever_after_a_success_and_is_free_after_anything_else,
    a_key_belongs_to_one_task,
    only_the_holder_of_a_key_settles_it,
    a_record_that_fails_settles_nothing,
    the_key_of_a_process_that_is_gone_goes_to_the_next,
)
