"""
What Twisted finds. No logic, and no __init__.py beside it.
"""

from echo_listener.asked import AskedListenerType
from echo_listener.echo import EchoListenerType

echo = EchoListenerType()
asked = AskedListenerType()
