"""
Who may sign what.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from hermes.ndn.packet.name import Name
from hermes.ndn.security.certificate import KEY


class TrustPolicy(Protocol):
    """
    Says which keys are fit for which names. Whether the keys are who they say is not its matter.
    """

    def allows(self, name: Name, keyName: Name) -> bool:
        """
        Whether the key C{keyName} may sign a packet called C{name}, which may be a certificate.
        """


@frozen
class Rule:
    """
    Keys of identities under C{signers} may sign what is under C{names}.
    """

    names: Name
    signers: Name

    @classmethod
    def fromText(cls, text: str) -> Rule:
        """
        Parse C{/PREFIX=/SIGNERS}.

        @raise ValueError: with a sentence for the user.
        """
        # A name may hold equals signs of its own: the one that a slash follows parts the two.
        names, equals, signers = text.partition("=/")
        if not equals or not names.startswith("/"):
            raise ValueError(f"{text!r} is no rule: write /PREFIX=/SIGNERS")
        return cls(Name.fromText(names), Name.fromText(f"/{signers}"))


class HierarchicalPolicy:
    """
    A key may sign what is under its identity: C{/org/KEY/1} signs C{/org/video/7} and the certificates of
    C{/org/alice}. Rules say what else there is.
    """

    def __init__(self, rules: Sequence[Rule] = (), hierarchical: bool = True) -> None:
        """
        @param rules: what is allowed besides.
        @param hierarchical: whether the hierarchy counts; without it, the rules only. Certificates always follow it.
        """
        self._rules = tuple(rules)
        self._hierarchical = hierarchical

    def allows(self, name: Name, keyName: Name) -> bool:
        """
        See L{TrustPolicy}.
        """
        if len(keyName) < 2 or keyName[-2] != KEY:
            return False
        identity = keyName[:-2]
        isCertificate = len(name) >= 4 and name[-4] == KEY
        if (self._hierarchical or isCertificate) and identity.isPrefixOf(name):
            return True
        return any(rule.names.isPrefixOf(name) and rule.signers.isPrefixOf(identity) for rule in self._rules)
