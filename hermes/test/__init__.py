"""
The tests of Hermes.
"""

from hypothesis import HealthCheck, settings

# How long a machine takes to make an example says nothing about the code.
settings.register_profile("hermes", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hermes")
