"""
The control plane: one document for the overlay, and how it comes to every node and is changed there.

It reaches the data plane through L{hermes.node}, L{hermes.config} and the interfaces; the data plane never imports it.
"""
