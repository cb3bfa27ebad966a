"""What the gateway benchmark is made of: a load generator, a provider, and targets.

The target has core 0 for itself, the load generator and the provider share core 1.
"""
