"""TALK TO MODELS: the interface, the wrappers around it, and the wires."""
