"""
The benchmark: a load generator whose own cost is known, and what it found.
"""
