"""Reading a log from any process, sealed and hot together, in seq order, while it may still be written.

Takes no lock and writes nothing. Whether what ends a log early is damage is for `journal` and `integrity` to
judge.
"""
