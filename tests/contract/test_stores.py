"""Every store keeps every promise."""

import pytest

from mahavishnu.testing.store import STORE_PROMISES


@pytest.mark.parametrize("promise", STORE_PROMISES, ids=lambda promise: promise.__name__)
async def test_a_store_promises_that(promise, store_opener):
    await promise(store_opener)
