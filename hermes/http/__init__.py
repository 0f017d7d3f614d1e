"""
HTTP exchanges, whatever their version (RFC 9110): named, routed, changed, sent on, retried, answered.
"""
