"""The screens in a browser: textual-serve's server for this machine and its own page alone, ended with its children."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, web
from textual_serve.app_service import AppService
from textual_serve.server import Server

LOCAL = frozenset(("localhost", "127.0.0.1", "::1"))
FAMILIES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


class LocalServer(Server):
    """Serves a command on a port of this machine. Raises OSError where that is taken."""

    def __init__(self, command: list[str], port: int) -> None:
        # textual-serve asks for 60 frames a second of every program; what a person asked for comes after that
        frames = os.environ.get("TEXTUAL_FPS") or ("10" if "--slow" in command else "")
        super().__init__(
            # exec: no shell stands between the server and what it ends
            (f"TEXTUAL_FPS={shlex.quote(frames)} " if frames else "") + "exec " + shlex.join(command),
            host="localhost",
            port=port,
            title="paddock",
        )
        self._talks: set[web.WebSocketResponse] = set()
        self._shown: list[AppService] = []
        """What is behind the pages, until its process has ended."""

    def serve(self, debug: bool = False) -> None:
        """Until SIGINT or SIGTERM."""
        listening = _listening(self.port)
        print(f"{self.public_url} shows it, to programs of this machine only; ctrl+c ends it.", flush=True)
        web.run_app(self._make_app(), sock=listening, print=None, access_log=None)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(only_from_here)
        app.on_cleanup.append(self._wait)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing more: serve() has said it."""

    async def on_shutdown(self, app: web.Application) -> None:
        """Hang up, which ends the program behind each page; aiohttp would wait a minute for them."""
        for talk in tuple(self._talks):
            await talk.close(code=WSCloseCode.GOING_AWAY, message=b"the server has ended")

    async def _wait(self, app: web.Application) -> None:
        """For the ends of the processes, which asyncio wants to hear of before its loop is closed."""
        for one in self._shown:
            if one._process is not None:
                await one._process.wait()

    async def _process_messages(self, websocket: web.WebSocketResponse, app_service: AppService) -> None:
        self._talks.add(websocket)
        self._shown = [one for one in self._shown if one._process is not None and one._process.returncode is None]
        self._shown.append(app_service)
        try:
            await super()._process_messages(websocket, app_service)
        finally:
            self._talks.discard(websocket)


@web.middleware
async def only_from_here(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse what another site's page asks for: a browser lets any page open a websocket to this machine.

    Host: another one's name may be made to point here. Origin: told by browsers only; programs of this machine may.
    """
    host, origin = urlsplit(f"//{request.host}"), request.headers.get("Origin")
    page = urlsplit(origin) if origin is not None else None
    if host.hostname not in LOCAL or (page is not None and (page.hostname not in LOCAL or page.port != host.port)):
        raise web.HTTPForbidden(text=f"Only http://localhost:{host.port or 80} itself may ask for this.\n")
    return await handler(request)


def _listening(port: int) -> list[socket.socket]:
    """Sockets on the loopback of this machine, of both kinds of addresses where it has both."""
    made: list[socket.socket] = []
    try:
        for family, address in FAMILIES:
            if family == socket.AF_INET6 and not _has_ipv6():
                continue
            one = socket.socket(family, socket.SOCK_STREAM)
            made.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address, port))
            one.listen(128)
    except OSError:
        for one in made:
            one.close()
        raise
    return made


def _has_ipv6() -> bool:
    """Whether ::1 is an address of this machine: many containers have none."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True
