"""
The agent: the node's end of the control plane. It keeps the configurations that the controller sends on disk, runs the
last good one, takes a new one on trial and goes back by itself. With no controller it does all of this, but for the new
ones.
"""
