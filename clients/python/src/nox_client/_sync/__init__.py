# Made of `_async` by tools/generate.py: change it there.
"""The synchronous client."""
