"""The parts that the benchmark programs beside this folder share, and a folder of each one's own.

It imports nothing, so that a worker process that is asked for one function loads no more than that.
"""
