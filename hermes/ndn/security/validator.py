"""
From a packet to a trust anchor.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hermes.ndn.packet.data import Data
from hermes.ndn.packet.errors import PacketError
from hermes.ndn.packet.name import Name
from hermes.ndn.security.certificate import Certificate, keyNameOf
from hermes.ndn.security.errors import Untrusted
from hermes.ndn.security.policy import HierarchicalPolicy, TrustPolicy

Fetch = Callable[[Name], Awaitable[Data]]
"""
Gets the Data whose name begins with this one. It may raise whatever it wants.
"""

MAX_DEPTH = 5
"""
How many certificates there may be between a packet and an anchor.
"""

MAX_KEPT = 1000


class Validator:
    """
    Verifies Data: its signature is of a key that may sign it, whose certificate is a trust anchor or is itself verified
    in this way. Certificates that are not at hand are fetched, each once however many packets wait for it, and kept
    while they are valid.
    """

    def __init__(
        self,
        anchors: Iterable[Certificate],
        now: Callable[[], float],
        fetch: Fetch | None = None,
        policy: TrustPolicy | None = None,
        maxDepth: int = MAX_DEPTH,
    ) -> None:
        """
        @param anchors: certificates that are believed, while they are valid.
        @param now: seconds since 1970.
        @param fetch: how certificates are got; without it, there are the anchors only.
        @param policy: who may sign what; the hierarchy of names where not given.
        @param maxDepth: how many certificates are fetched for one packet, at most.
        """
        self._now = now
        self._fetch = fetch
        self._policy = HierarchicalPolicy() if policy is None else policy
        self._maxDepth = maxDepth
        self._anchors = {each.keyName: each for each in anchors}
        self._kept: OrderedDict[Name, Certificate] = OrderedDict()
        self._fetching: dict[Name, list[Deferred[Certificate]]] = {}

    def validateNow(self, data: Data) -> bool:
        """
        Verify C{data}, if the certificate of its key is at hand.

        @return: whether it was: L{False} calls for L{validate}.
        @raise Untrusted: if it is not to be believed.
        """
        certificate = self._atHand(self._keyOf(data))
        if certificate is None:
            return False
        self._verify(data, certificate)
        return True

    async def validate(self, data: Data) -> None:
        """
        Verify C{data}.

        @raise Untrusted: if it is not to be believed, or a certificate can't be got.
        """
        await self._validate(data, self._maxDepth)

    async def _validate(self, data: Data, depth: int) -> None:
        keyName = self._keyOf(data)
        certificate = self._atHand(keyName)
        if certificate is None:
            certificate = await self._get(data, keyName, depth)
        self._verify(data, certificate)

    def _keyOf(self, data: Data) -> Name:
        """
        The key that says it has signed C{data}; it may.
        """
        locator = data.signatureInfo.keyLocator
        keyName = keyNameOf(locator) if isinstance(locator, Name) else None
        if keyName is None:
            raise Untrusted(f"{data.name} does not say which key has signed it")
        if not self._policy.allows(data.name, keyName):
            raise Untrusted(f"{keyName} may not sign {data.name}")
        return keyName

    def _atHand(self, keyName: Name) -> Certificate | None:
        now = self._now()
        certificate = self._anchors.get(keyName)
        if certificate is not None:
            if not certificate.validAt(now):
                raise Untrusted(f"the trust anchor {certificate.name} is not valid now")
            return certificate
        certificate = self._kept.get(keyName)
        if certificate is not None and not certificate.validAt(now):
            del self._kept[keyName]
            return None
        return certificate

    def _verify(self, data: Data, certificate: Certificate) -> None:
        if not certificate.verifies(data):
            raise Untrusted(f"the signature of {data.name} is not one of {certificate.keyName}")

    async def _get(self, data: Data, keyName: Name, depth: int) -> Certificate:
        """
        Get the certificate of a key, and verify it.
        """
        if depth <= 0:
            raise Untrusted(f"{data.name} is too many certificates away from a trust anchor")
        locator = data.signatureInfo.keyLocator
        if self._fetch is None or not isinstance(locator, Name):
            raise Untrusted(f"{keyName}, which has signed {data.name}, is no trust anchor")
        certificate = await self._fetched(locator)
        # Others may have waited for the same one, and the first of them has verified it.
        kept = self._atHand(keyName)
        if kept is not None:
            return kept
        if certificate.keyName != keyName:
            raise Untrusted(f"{certificate.name} is not a certificate of {keyName}")
        if not certificate.validAt(self._now()):
            raise Untrusted(f"{certificate.name} is not valid now")
        if certificate.selfSigned:
            raise Untrusted(f"{certificate.name} is signed by itself, and no trust anchor")
        await self._validate(certificate.data, depth - 1)
        self._kept[keyName] = certificate
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return certificate

    def _fetched(self, locator: Name) -> Deferred[Certificate]:
        """
        The certificate that is called so, not verified. It is fetched once, however many wait for it; one of them that
        is cancelled is no matter to the others.
        """

        first = locator not in self._fetching
        waiting = self._fetching.setdefault(locator, [])
        deferred: Deferred[Certificate] = Deferred(waiting.remove)
        waiting.append(deferred)
        if first:
            Deferred.fromCoroutine(self._load(locator))
        return deferred

    async def _load(self, locator: Name) -> None:
        """
        Fetch a certificate and give it to all who wait.
        """
        result: Certificate | Failure
        try:
            assert self._fetch is not None
            result = Certificate(await self._fetch(locator))
        except PacketError as error:
            result = Failure(Untrusted(f"what is called {locator} is no certificate: {error}"))
        except Exception as error:
            result = Failure(Untrusted(f"the certificate {locator} can't be got: {error or type(error).__name__}"))
        waiting = self._fetching.pop(locator)
        while waiting:
            # Taken out first: what it leads to may cancel another.
            waiting.pop(0).callback(result)
