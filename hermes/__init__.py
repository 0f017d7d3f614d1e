"""
Hermes: an overlay network of programmable proxies.

Applications talk to a proxy near them; proxies talk to each other over HTTP/2.
"""

__version__ = "0.1.0"
