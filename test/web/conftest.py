"""A browser, a server with a backend that flashes, and a page of it; for tests in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from chromium import Standing, Visit


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from chromium import chromium  # needs the packages of the page, which other tests do without

    with chromium(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture
def stand() -> Iterator[Callable[..., Standing]]:
    """Makes servers, which end with the test."""
    from chromium import Standing

    with ExitStack() as ends:

        def start(*more: Any, **most: Any) -> Standing:
            server = Standing(*more, **most)
            ends.callback(server.stop)
            return server

        yield start


@pytest.fixture
def standing(stand: Callable[..., Standing]) -> Standing:
    from chromium import LISTENER
    from flash_backend import FlashBackend

    return stand(FlashBackend, script=LISTENER)


@pytest.fixture
def visit(browser: Any, standing: Standing) -> Iterator[Visit]:
    from chromium import Visit

    here = Visit(browser, standing.url)
    yield here
    here.close()
