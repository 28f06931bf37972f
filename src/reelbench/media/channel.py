"""A bounded queue between two threads, which either side can end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from threading import Condition, Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """At most ``size`` places are taken by items that are unread or promised; nobody spins. One thread writes and one reads.

    The writer takes a place with ``reserve``, which waits for room, and fills it with ``put``, which never waits: it knows that there
    is room before it works on an item, and can fill several places while it wakes the reader once.
    It ends the channel with ``finish``: iterating then gives what is left and raises the writer's error, if there was one.
    The reader iterates and ends it with ``close``: what is unread is dropped. After either, ``reserve`` answers False at once.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._items: deque[T] = deque()
        lock = Lock()
        self._room = Condition(lock)
        self._filled = Condition(lock)
        self._finished = False
        self._closed = False
        self._error: BaseException | None = None

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def full(self) -> bool:
        """Whether ``reserve`` would wait."""
        return self._taken >= self._size and not self._ended

    @property
    def _ended(self) -> bool:
        return self._closed or self._finished

    def reserve(self) -> bool:
        """Take a place, waiting for room. False: nobody will read it."""
        with self._room:
            while self.full:
                self._room.wait()
            self._taken += 1
            return not self._ended

    def put(self, items: Iterable[T]) -> None:
        """Fill as many reserved places as there are ``items``."""
        with self._filled:
            if not self._closed:
                self._items.extend(items)
                self._filled.notify()

    def finish(self, error: BaseException | None = None) -> None:
        with self._filled:
            self._finished, self._error = True, error
            self._filled.notify_all()
            self._room.notify_all()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._filled:
            while not (self._items or self._ended):
                self._filled.wait()
            if self._items:
                self._taken -= 1
                self._room.notify()
                return self._items.popleft()
            if self._error is not None:
                raise self._error
            raise StopIteration

    def close(self) -> None:
        with self._filled:
            self._closed = True
            self._items.clear()
            self._filled.notify_all()
            self._room.notify_all()
