"""
In the way of a module that JupyterLab installs: imported, it builds a grammar for three seconds.

jsonschema imports it where it is there, and so would each of Ray's dozen processes. A node gives
its agent fifteen seconds to start (ray-project/ray#65983), which two busy cores need otherwise.
"""

raise ImportError
