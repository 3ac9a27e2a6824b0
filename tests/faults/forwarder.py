"""A link that does what a test wants: a TCP forwarder, through which one agent reaches the other.

Everything runs in one thread with an event loop of its own, which can live in another network namespace.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from .wire import Seen, Wire

PIECE = 1 << 14
"""Bytes moved at once: a fault strikes as exactly as this."""

UP, DOWN = "up", "down"
"""From the Emitter to the Receiver, and back, whichever of them connects."""

Watch = Callable[[str, Seen], Callable[[], None] | None]
"""Told of each frame that begins or ends, and its direction. What it returns is called in another thread, and
until that is done nothing passes in either direction."""


@dataclass
class Counts:
    """Of all connections so far: bytes taken from each side; bytes of plaintext in the DATA going up."""

    up: int = 0
    down: int = 0
    data: int = 0
    connections: int = 0


@dataclass(eq=False)
class _Connection:
    near: socket.socket
    far: socket.socket
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def reset(self) -> None:
        """Both sides get an RST; what was under way is gone."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for each in (self.near, self.far):
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Both sides get an end."""
        for each in (self.near, self.far):
            each.close()


class Forwarder:
    """Listens on ``host`` and connects to ``target``, which may change: a Receiver comes back elsewhere.

    ``enter`` is called first in its thread: there it may go into another network namespace.
    ``emitter_listens``: it is the Receiver that connects.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        enter: Callable[[], None] = lambda: None,
        emitter_listens: bool = False,
    ) -> None:
        self._ways = (DOWN, UP) if emitter_listens else (UP, DOWN)
        self.target: tuple[str, int] | None = None
        self.counts = Counts()
        self.watch: Watch = lambda _direction, _seen: None
        self.recoveries: list[float] = []
        """Seconds from each ``restored`` to the first DATA, or FINAL, that passed after it."""
        self._restored_at: float | None = None
        self._delay = 0.0
        self._rate: float | None = None
        self._corrupt: dict[str, int] = {}
        self._open: set[_Connection] = set()
        self._resetting: set[asyncio.Task[None]] = set()
        self._down = 0
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._failure: BaseException | None = None
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(host, port, enter, ready), daemon=True)
        self._thread.start()
        ready.wait()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Cut everything and end."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    # What the link does. All of it may be called from any thread.

    def down(self) -> None:
        """Nothing passes and nobody is told, until ``up`` was called as often."""
        self._call(self._pause)

    def up(self) -> None:
        """See ``down``."""
        self._call(self._go_on)
        self.restored()

    def reset(self) -> None:
        """Both sides of every connection are cut off at once, and told so; what was under way is lost."""
        self._call(self._reset)

    def slow(self, *, delay: float = 0.0, rate: float | None = None) -> None:
        """From now on each piece is held for 0 to ``delay`` seconds; ``rate``: bytes a second, each way."""
        self._delay, self._rate = delay, rate

    def corrupt(self, direction: str) -> None:
        """One bit of the next piece in that direction is turned."""
        self._corrupt[direction] = self._corrupt.get(direction, 0) + 1

    def restored(self) -> None:
        """Data could flow again from this moment on."""
        self._restored_at = time.monotonic()

    def _call(self, action: Callable[[], None]) -> None:
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(act)
        done.wait(10)

    def _pause(self) -> None:
        self._down += 1
        self._flowing.clear()

    def _go_on(self) -> None:
        self._down -= 1
        if not self._down:
            self._flowing.set()

    def _reset(self) -> None:
        for connection in self._open:
            task = self._loop.create_task(connection.reset())
            self._resetting.add(task)
            task.add_done_callback(self._resetting.discard)
        self._open.clear()

    # Its own thread

    def _run(self, host: str, port: int, enter: Callable[[], None], ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            enter()
            listener = socket.create_server((host, port))
        except BaseException as error:
            self._failure = error
            ready.set()
            return
        listener.setblocking(False)
        self.address = f"tcp://{host}:{listener.getsockname()[1]}"
        ready.set()
        serving = self._loop.create_task(self._serve(listener))
        self._loop.run_forever()
        serving.cancel()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        for connection in self._open:
            connection.close()
        listener.close()
        self._loop.close()

    async def _serve(self, listener: socket.socket) -> None:
        tasks = set()
        while True:
            near, _ = await self._loop.sock_accept(listener)
            task = self._loop.create_task(self._connect(near))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _connect(self, near: socket.socket) -> None:
        await self._flowing.wait()
        far = None
        try:
            assert self.target is not None
            far = socket.socket(socket.AF_INET)
            for each in (near, far):
                each.setblocking(False)
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.sock_connect(far, self.target)
        except (OSError, asyncio.CancelledError):
            near.close()
            if far is not None:
                far.close()
            return
        self.counts.connections += 1
        connection = _Connection(near, far)
        self._open.add(connection)
        there, back = self._ways
        connection.tasks = [
            self._loop.create_task(self._carry(connection, near, far, there)),
            self._loop.create_task(self._carry(connection, far, near, back)),
        ]

    async def _carry(
        self, connection: _Connection, one: socket.socket, other: socket.socket, direction: str
    ) -> None:
        with suppress(OSError):
            await self._copy(one, other, direction)
            await self._flowing.wait()
        with suppress(OSError):
            other.shutdown(socket.SHUT_WR)
        others = [task for task in connection.tasks if task is not asyncio.current_task()]
        await asyncio.wait(others, timeout=5)  # what goes the other way may still arrive
        if connection in self._open:
            self._open.discard(connection)
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            connection.close()

    async def _copy(self, one: socket.socket, other: socket.socket, direction: str) -> None:
        wire = Wire()
        while piece := await self._loop.sock_recv(one, PIECE):
            if self._delay or self._rate:
                late = len(piece) / self._rate if self._rate else 0.0
                await asyncio.sleep(late + random.uniform(0, self._delay))
            at, before = 0, wire.data
            for seen in wire.feed(piece):
                if at < seen.end:
                    await self._pass(other, piece[at : seen.end], direction)
                    at = seen.end
                await self._tell(direction, seen)
            if direction == UP:
                self.counts.up += len(piece)
                self.counts.data += wire.data - before
            else:
                self.counts.down += len(piece)
            if at < len(piece):
                await self._pass(other, piece[at:], direction)

    async def _pass(self, other: socket.socket, piece: bytes, direction: str) -> None:
        await self._flowing.wait()
        if self._corrupt.get(direction):
            self._corrupt[direction] -= 1
            at = random.randrange(len(piece))
            piece = piece[:at] + bytes([piece[at] ^ 1 << random.randrange(8)]) + piece[at + 1 :]
        await self._loop.sock_sendall(other, piece)

    async def _tell(self, direction: str, seen: Seen) -> None:
        if (
            self._restored_at is not None
            and direction == UP
            and not seen.begun
            and seen.kind in ("DATA", "FINAL")
        ):
            self.recoveries.append(time.monotonic() - self._restored_at)
            self._restored_at = None
        strike = self.watch(direction, seen)
        if strike is not None:
            self._pause()
            try:
                await asyncio.to_thread(strike)
            finally:
                self._go_on()
