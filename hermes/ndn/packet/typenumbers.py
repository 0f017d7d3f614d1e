"""
TLV-TYPE numbers of the packet format v0.3, and the numbers in its fields.

Those of NDNLPv2 are in L{hermes.ndn.packet.lp}, those of names in L{hermes.ndn.packet.component}.
"""

from __future__ import annotations

from typing import Final

INTEREST: Final = 0x05
DATA: Final = 0x06
NAME: Final = 0x07

# Interest
CAN_BE_PREFIX: Final = 0x21
MUST_BE_FRESH: Final = 0x12
FORWARDING_HINT: Final = 0x1E
NONCE: Final = 0x0A
INTEREST_LIFETIME: Final = 0x0C
HOP_LIMIT: Final = 0x22
APPLICATION_PARAMETERS: Final = 0x24
INTEREST_SIGNATURE_INFO: Final = 0x2C
INTEREST_SIGNATURE_VALUE: Final = 0x2E

# Data
META_INFO: Final = 0x14
CONTENT: Final = 0x15
SIGNATURE_INFO: Final = 0x16
SIGNATURE_VALUE: Final = 0x17

# MetaInfo
CONTENT_TYPE: Final = 0x18
FRESHNESS_PERIOD: Final = 0x19
FINAL_BLOCK_ID: Final = 0x1A

# SignatureInfo
SIGNATURE_TYPE: Final = 0x1B
KEY_LOCATOR: Final = 0x1C
KEY_DIGEST: Final = 0x1D
SIGNATURE_NONCE: Final = 0x26
SIGNATURE_TIME: Final = 0x28
SIGNATURE_SEQ_NUM: Final = 0x2A

# Forwarding hints of before 2021: Delegation = Preference Name
DELEGATION: Final = 0x1F

# Certificates v2
VALIDITY_PERIOD: Final = 0xFD
NOT_BEFORE: Final = 0xFE
NOT_AFTER: Final = 0xFF
ADDITIONAL_DESCRIPTION: Final = 0x0102

CONTENT_BLOB: Final = 0
CONTENT_LINK: Final = 1
CONTENT_KEY: Final = 2
CONTENT_NACK: Final = 3
CONTENT_MANIFEST: Final = 4
"""
ContentType: what the Content of a Data is.
"""

SIGNATURE_DIGEST_SHA256: Final = 0
SIGNATURE_SHA256_WITH_RSA: Final = 1
SIGNATURE_SHA256_WITH_ECDSA: Final = 3
SIGNATURE_HMAC_WITH_SHA256: Final = 4
SIGNATURE_ED25519: Final = 5
SIGNATURE_NULL: Final = 200
"""
SignatureType: how a packet is signed.
"""

DEFAULT_LIFETIME: Final = 4000
"""
The lifetime of an Interest that says none, in milliseconds.
"""

MAX_PACKET_SIZE: Final = 8800
"""
The largest Interest or Data, in bytes, type and length included.
"""
