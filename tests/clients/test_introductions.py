"""How clients say who they are in memcached's protocol and in HTTP, whatever comes back."""

from __future__ import annotations

import base64

import pytest

from harness.clients import ProtocolBreach
from harness.clients.access import Access, Introducing, Signing
from harness.clients.http import Http
from harness.clients.memcached import Memcached, unspeakable
from harness.clients.memcached_meta import Meta
from harness.history import Function

BOB = Access("bob", "sesame:ä")
BOTH = pytest.mark.parametrize("codec", [Memcached, Meta])


@BOTH
def test_a_set_of_name_and_password_comes_first(codec: type) -> None:
    """It is expired when it arrives: who asks nobody keeps nothing. Without a user, there is a name all the same."""
    made = codec()
    assert isinstance(made, Introducing)
    assert made.introduction(BOB) == "set anachron:introduction 0 -1 13\r\nbob sesame:ä\r\n".encode()
    assert made.introduction(Access(password="x")).endswith(b"\r\nanachron x\r\n")  # noqa: S106 - a test's


@BOTH
def test_nothing_but_stored_is_a_welcome(codec: type) -> None:
    """Piece by piece or at once; a refusal is told in the server's words, and garbage is a breach."""
    made = codec()
    assert made.welcome(b"STO") is None
    assert made.welcome(b"RED\r") is None
    assert made.welcome(b"\n") == ""
    assert made.idle()
    assert codec().welcome(b"CLIENT_ERROR authentication failure\r\n") == "CLIENT_ERROR authentication failure"
    with pytest.raises(ProtocolBreach):
        codec().welcome(b"\x80\x01 binary")


@pytest.mark.parametrize(("password", "said"), [("two words", "no blanks"), ("x" * 300, "at most"), ("", ""), ("fine:ä", "")])
def test_what_memcached_cannot_be_told_is_known(password: str, said: str) -> None:
    """Its list has a line for each user, and its clients a blank between name and password."""
    assert said in unspeakable(Access("bob", password))
    assert bool(said) is bool(unspeakable(Access("bob", password)))


@pytest.mark.parametrize("function", [Function.READ, Function.WRITE, Function.DELETE])
def test_every_request_of_http_is_signed(function: Function) -> None:
    """Each has the header once, among the others; without a password none has."""
    made = Http()
    assert isinstance(made, Signing)
    plain, signed = made.request(function, b"k", b"v"), made.signed(BOB).request(function, b"k", b"v")
    field = b"Authorization: Basic %b\r\n" % base64.b64encode("bob:sesame:ä".encode())
    assert b"Authorization" not in plain
    assert signed.replace(field, b"") == plain
    assert signed.index(field) < signed.index(b"\r\n\r\n")
