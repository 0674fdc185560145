"""The methods. Each is a folder with two files, and its name is the folder's.

`settings.py` has `SETTINGS`, the dataclass of its settings, and loads no torch; `method.py` has `METHOD`, the class.
"""
