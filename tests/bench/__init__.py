"""`make bench`: ours against stock aiortc, both in the same run on the same wire (127.0.0.1).

Each end of a call is a process of its own (`roles.py`), so that a sender's CPU and memory are its own. The ends share
the machine's monotonic clock: pictures carry the millisecond of their capture in their frame code, sound carries a
click at each half second, and what arrives is compared with the clock.
"""
