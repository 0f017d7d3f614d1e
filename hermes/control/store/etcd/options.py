"""
How an etcd is reached.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class EtcdOptions:
    """
    Files are read when a connection is made: what was renewed is used from then on.

    @ivar endpoints: the URLs of its members, C{http://HOST:PORT} or C{https://HOST:PORT}: the first that answers is
        used until it does not.
    @ivar prefix: what all keys of this overlay begin with.
    @ivar user: who this is, where etcd has authentication enabled; empty for nobody.
    @ivar password: the path of a file that holds the user's password.
    @ivar trust: the path of a file with the authorities that C{https} endpoints are checked by, PEM; L{None} for those
        of the machine.
    @ivar certificate: the path of a file with a certificate to show, and what leads up to it, PEM.
    @ivar key: the path of its key, PEM.
    @ivar lease: seconds after which another controller leads, where the leader is gone. etcd takes more where that is
        less than what it needs to elect its own leader.
    @ivar answer: seconds that one member has to answer; then the next one is asked.
    @ivar patience: seconds after which C{StoreUnavailable} is said.
    @ivar ping: seconds after which the member that tells of changes is asked whether it is still there.
    """

    endpoints: tuple[str, ...]
    prefix: str = "/hermes/"
    user: str = ""
    password: str | None = None
    trust: str | None = None
    certificate: str | None = None
    key: str | None = None
    lease: int = 10
    answer: float = 3.0
    patience: float = 10.0
    ping: float = 5.0
