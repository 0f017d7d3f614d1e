"""
The lean way through OpenSSL: ciphertext in, plaintext out and the reverse, in large pieces and without a copy that
OpenSSL itself doesn't make.

Measured, microseconds a MiB with the kernel's time, over loopback, AES-128-GCM, sending and receiving: OpenSSL on the
socket through pyOpenSSL 593 and 567; OpenSSL on the socket, called without pyOpenSSL's copies, 567 and 396; memory
BIOs, called without pyOpenSSL's copies, 360 and 313. The kernel is then called once for a MiB, and not three times for
each record of 16 KiB. What makes a memory BIO slow is not the BIO.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any, Final

from OpenSSL import SSL

from hermes.values import Buffer

# What pyOpenSSL itself calls; its own methods copy each piece once more than is needed.
_binding: Any = importlib.import_module("OpenSSL._util")
_lib: Any = _binding.lib
_ffi: Any = _binding.ffi

RECORD: Final = 16 * 1024
"""
The most that one TLS record holds (RFC 8446 section 5.1), in bytes.
"""

ROUND: Final = 2 * RECORD
"""
How much goes into a BIO before it is emptied again, in bytes. A BIO keeps the memory that it once grew to, so this
bounds what an idle connection holds.
"""

SCRATCH: Final = 1024 * 1024 + 4 * ROUND
"""
The size of a scratch buffer: a MiB and what may have waited in the BIO or is added by encryption.
"""


SEND_AT: Final = 512 * 1024
"""
How much ciphertext is gathered before it is sent, in bytes: with a MiB, what came first has left the processor's
cache by then.
"""


def setVerify(context: SSL.Context, verify: Callable[..., bool]) -> None:
    """
    Have peers show their certificates, and C{verify} judge each; see C{SSL.Context.set_verify}. One that OpenSSL takes
    is refused by raising an exception; its C{certificateError}, one of OpenSSL's C{X509_V_ERR_*}, is what the peer is
    told then. pyOpenSSL would have it told of an internal error.
    """
    context.set_verify(SSL.VERIFY_PEER, verify)
    internals: Any = context
    helper = internals._verify_helper

    def judge(valid: int, store: Any) -> int:
        if helper.callback(valid, store):
            return 1
        code = getattr(helper._problems[-1], "certificateError", 0) if valid and helper._problems else 0
        if code:
            _lib.X509_STORE_CTX_set_error(store, code)
        return 0

    # OpenSSL does not keep it alive.
    internals._judge = _ffi.callback("int (*)(int, X509_STORE_CTX *)", judge)
    _lib.SSL_CTX_set_verify(internals._context, SSL.VERIFY_PEER, internals._judge)


class _Scratch:
    """
    A buffer, as Python and as C see it.
    """

    def __init__(self) -> None:
        buffer = bytearray(SCRATCH)
        self.view = memoryview(buffer)
        self.address = _ffi.from_buffer(buffer)


# All connections share them. A stack, since TLS inside TLS needs one for each layer at the same time.
_idle: list[_Scratch] = []


class RecordLayer:
    """
    One TLS connection between two buffers.

    @ivar connection: the pyOpenSSL connection, for all that is not data.
    @ivar closeReceived: whether the peer has sent close_notify.
    """

    closeReceived: bool = False

    def __init__(self, connection: SSL.Connection) -> None:
        """
        @param connection: one without a socket, in connect or accept state.
        """
        self.connection = connection
        internals: Any = connection
        self._ssl = internals._ssl
        self._incoming = internals._into_ssl
        self._outgoing = internals._from_ssl

    def feed(self, ciphertext: Buffer) -> None:
        """
        Take ciphertext in without decrypting it: the handshake's.
        """
        if ciphertext:
            self.connection.bio_write(bytes(ciphertext))

    def decrypt(
        self, ciphertext: Buffer, deliver: Callable[[memoryview], object], send: Callable[[Buffer], object]
    ) -> None:
        """
        Take ciphertext in and pass all that can be read now to C{deliver}, borrowed, in one piece (in more than one
        only where a MiB is exceeded). What OpenSSL answers (key updates, alerts) goes to C{send}.

        @raise OpenSSL.SSL.Error: where the connection is broken; what came before that was delivered.
        """
        lib, ssl, incoming = _lib, self._ssl, self._incoming
        raw, size = _ffi.from_buffer(ciphertext), len(ciphertext)
        start = filled = 0
        broken: SSL.Error | None = None
        scratch = _idle.pop() if _idle else _Scratch()
        try:
            plain = scratch.address
            while True:
                if start < size:
                    lib.BIO_write(incoming, raw + start, min(ROUND, size - start))
                    start += ROUND
                while True:
                    if filled == SCRATCH:
                        deliver(scratch.view)
                        filled = 0
                    got = lib.SSL_read(ssl, plain + filled, SCRATCH - filled)
                    if got <= 0:
                        break
                    filled += got
                error = lib.SSL_get_error(ssl, got)
                if error == lib.SSL_ERROR_WANT_READ:
                    if start < size:
                        continue
                elif error == lib.SSL_ERROR_ZERO_RETURN:
                    self.closeReceived = True
                else:
                    broken = self._takeError(got)
                break
            answered = lib.BIO_read(self._outgoing, plain + filled, SCRATCH - filled)
            if answered > 0:
                send(scratch.view[filled : filled + answered])
            if filled:
                deliver(scratch.view[:filled])
        finally:
            # Not left to the garbage collector: a view that is collected while C holds it brings the process down.
            _ffi.release(raw)
            _idle.append(scratch)
        if broken is not None:
            raise broken

    def encrypt(self, data: Iterable[Buffer], send: Callable[[memoryview], object]) -> None:
        """
        Encrypt buffers (see L{inRecords}), and pass the ciphertext to C{send}, borrowed.

        @raise OpenSSL.SSL.Error: where the connection is broken.
        """
        scratch = _idle.pop() if _idle else _Scratch()
        try:
            used = 0
            for piece in data:
                used = self._encryptPiece(piece, scratch, used, send)
            if used:
                send(scratch.view[:used])
        finally:
            _idle.append(scratch)

    def _encryptPiece(self, piece: Buffer, scratch: _Scratch, used: int, send: Callable[[memoryview], object]) -> int:
        """
        Encrypt C{piece} behind the first C{used} bytes of the scratch buffer.

        @return: how much of the scratch buffer is used then.
        """
        lib, ssl, outgoing, cipher = _lib, self._ssl, self._outgoing, scratch.address
        plain, size = _ffi.from_buffer(piece), len(piece)
        start = 0
        try:
            while start < size:
                if used >= SEND_AT:
                    send(scratch.view[:used])
                    used = 0
                wrote = lib.SSL_write(ssl, plain + start, min(ROUND, size - start))
                if wrote <= 0:
                    raise self._takeError(wrote)
                start += wrote
                used += lib.BIO_read(outgoing, cipher + used, SCRATCH - used)
        finally:
            _ffi.release(plain)
        return used

    def take(self) -> bytes:
        """
        What OpenSSL wants the peer to have: handshake messages, alerts. Empty where there is nothing.
        """
        taken = []
        while True:
            try:
                taken.append(self.connection.bio_read(ROUND))
            except SSL.WantReadError:
                return b"".join(taken)

    def closeNotify(self) -> bytes:
        """
        The alert that ends our direction (RFC 8446 section 6.1).
        """
        try:
            self.connection.shutdown()
        except SSL.Error:
            return b""  # Broken before: there is nobody to tell.
        return self.take()

    def _takeError(self, result: int) -> SSL.Error:
        """
        The error behind a failed call, taken out of OpenSSL's queue.
        """
        internals: Any = self.connection
        try:
            internals._raise_ssl_error(self._ssl, result)
        except SSL.Error as error:
            return error
        return SSL.Error("unknown")


def inRecords(data: Iterable[Buffer]) -> Iterable[Buffer]:
    """
    The same bytes in pieces that fill whole records as far as they can, without copying what is long.
    """
    small: list[Buffer] = []
    size = 0
    for buffer in data:
        length = len(buffer)
        if length < ROUND:
            small.append(buffer)
            size += length
            continue
        view = memoryview(buffer)
        if size:
            fill = -size % RECORD
            small.append(view[:fill])
            yield b"".join(small)
            view = view[fill:]
            length -= fill
        rest = length % RECORD
        if length - rest:
            yield view[: length - rest]
        small = [view[length - rest :]] if rest else []
        size = rest
    if size:
        yield small[0] if len(small) == 1 else b"".join(small)
