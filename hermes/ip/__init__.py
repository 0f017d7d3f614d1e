"""
IP packets at a node: who may send what where, and the switch that forwards them between devices and tunnels.
"""
