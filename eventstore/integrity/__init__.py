"""What an operator does about a log's bytes: check every one, rebuild what can be, accept what is lost.

Stands above all other rooms, and none of them may need it.
"""
