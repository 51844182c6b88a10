"""
What ``migrate --write`` puts beside an application: its own small client. Nothing here imports it.
"""
