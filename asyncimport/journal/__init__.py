"""The journal: what a run has done, on disk, so that it can be killed at any time and goes on where it was acknowledged.

`journal.py` is what the flow talks to; `file.py` is the SQLite file behind it, in a thread of its own (`disk.py`);
`entry.py`, `change.py` and `known.py` are the values between them; `catch_up.py` brings a resumed run to where it was.
"""
