"""THE GATEWAY: change ``base_url``, keep the code, pay less, wait less.

Owns the routes below ``/v1`` that providers have, on a data path of their own in front
of the application. Leaves models to ``model``, reuse to ``cache`` and keys to ``store``.
``app`` puts it before the application; ``hasten serve --gateway-only`` serves it alone.
"""
