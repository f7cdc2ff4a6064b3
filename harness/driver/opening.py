"""What a connection goes through before it counts as open: TCP, TLS, and saying who the client is.

None of it belongs to an operation's time: an operation that has to wait for its connection is called once that is open.
"""

from __future__ import annotations

import errno
import select
import ssl
from collections.abc import Callable, Generator
from typing import TypeVar

from harness.clients import ProtocolBreach
from harness.clients.access import Access, Introducing, Signing
from harness.driver.connection import Line, error_text

_RECEIVE_BYTES = 4_096

A = TypeVar("A")
R = TypeVar("R")

Opening = Generator[int, None, str]
"""Yields the epoll events to wait for; returns why the connection could not be opened, or nothing if it is open."""


def opening(line: Line, access: Access, context: ssl.SSLContext | None, host: str) -> Opening:
    """Open ``line``, which has begun to connect to ``host``; the first step is due when that has ended."""
    refusal = line.refusal()
    if refusal:
        return refusal
    if context is not None:
        refusal = yield from _secure(line, context, host)
        if refusal:
            return refusal
    if access.password and not isinstance(line.codec, Signing):
        return (yield from _introduce(line, access))
    return ""


def _secure(line: Line, context: ssl.SSLContext, host: str) -> Opening:
    try:
        # The file descriptor stays the same.
        secured = context.wrap_socket(line.socket, do_handshake_on_connect=False, server_hostname=host)
        line.socket = secured
        while True:
            try:
                secured.do_handshake()
                break
            except ssl.SSLWantReadError:
                yield select.EPOLLIN
            except ssl.SSLWantWriteError:
                yield select.EPOLLOUT
    except ssl.SSLCertVerificationError as error:
        return f"connect: TLS: {error.verify_message}"
    except ssl.SSLError as error:
        return f"connect: TLS: {(error.reason or 'handshake failed').replace('_', ' ').lower()}"
    except OSError as error:
        return f"connect: TLS: {error_text(error.errno or errno.ECONNRESET)}"
    line.recv, line.send = _like_a_socket(secured.recv), _like_a_socket(secured.send)
    return ""


def _like_a_socket(call: Callable[[A], R]) -> Callable[[A], R]:
    """``call`` of a TLS socket, with the errors of a plain one."""

    def plain(argument: A) -> R:
        try:
            return call(argument)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None
        except ssl.SSLError as error:
            raise OSError(errno.EPROTO, str(error.reason)) from None

    return plain


def _introduce(line: Line, access: Access) -> Opening:
    codec = line.codec
    if not isinstance(codec, Introducing):
        return "connect: the protocol has no way to say a password"
    unsent = codec.introduction(access)
    try:
        while unsent:
            try:
                unsent = unsent[line.send(unsent) :]
            except BlockingIOError:
                yield select.EPOLLOUT
        while True:
            yield select.EPOLLIN
            try:
                data = line.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                continue
            if not data:
                return "connect: connection closed by the server"
            refusal = codec.welcome(data)
            if refusal is not None:
                return f"connect: {access.hide(refusal)}" if refusal else ""
    except ProtocolBreach as breach:
        return f"connect: protocol error: {breach}"
    except OSError as error:
        return f"connect: {error_text(error.errno)}"
