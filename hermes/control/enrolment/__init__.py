"""
Enrolment: the authority of an overlay, the tokens with which nodes join, their certificates, and how they are taken
back.

See docs/reference/control-channel.md for what is on the wire.
"""
