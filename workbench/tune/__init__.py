"""
Server flags, tried one after the other: what is faster, by how much, and whether answers stay good.
"""
