"""
etcd: what all stores do.
"""

from __future__ import annotations

from hermes.test.control.store.contract import StoreContract
from hermes.test.control.store.etcdcase import EtcdCase


class EtcdStoreTests(EtcdCase, StoreContract):
    """
    See L{StoreContract}.
    """
