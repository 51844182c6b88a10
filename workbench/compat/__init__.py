"""
Other libraries' interfaces over the served model, so that code runs before it is moved.
"""
