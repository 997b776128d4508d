"""Requests to a store in an order that a seed draws, as machines send them that know nothing of one another."""

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from recurrent_cells.tracking.store import Store

T = TypeVar("T")


class Turns:
    """Threads that use a store in turn, one request at a time, in an order that a seed draws."""

    def __init__(self, threads: int, seed: int) -> None:
        self._left, self._waiting = threads, set[int]()
        self._chance, self._changed = random.Random(seed), threading.Condition()
        self._chosen: int | None = None

    def take(self, store: Store, act: Callable[[Store], T]) -> T:
        """What an action gives in one of the threads, called for the store; its requests wait for their turn."""
        own = replace(store)
        own.__dict__["client"] = _Client(store.client, self._wait)
        try:
            return act(own)
        finally:
            with self._changed:
                self._left -= 1
                self._choose()

    def _wait(self) -> None:
        me = threading.get_ident()
        with self._changed:
            self._waiting.add(me)
            self._choose()
            self._changed.wait_for(lambda: self._chosen == me)
            self._chosen = None
            self._waiting.remove(me)

    def _choose(self) -> None:
        """Give a thread the turn once all wait, so that no two requests overlap."""
        if self._left and len(self._waiting) == self._left and self._chosen is None:
            self._chosen = self._chance.choice(sorted(self._waiting))
        self._changed.notify_all()


class _Client:
    def __init__(self, client: Any, wait: Callable[[], None]) -> None:
        self._client, self._wait = client, wait

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if not callable(attribute):
            return attribute

        def request(*arguments: Any, **named: Any) -> Any:
            self._wait()
            return attribute(*arguments, **named)

        return request
