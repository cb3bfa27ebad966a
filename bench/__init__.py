"""Side-by-side benchmarks, run from a checkout: ``python -m bench NAME``.

Each benchmark is a module with a ``TITLE`` and a function ``cases()``;
``harness`` measures and shows them. Peers live in the ``bench`` dependency
group; one that is not installed is said to be so.
"""
