"""What every room stands on: shapes, blocks, replicas, draws, checks and durable files.

`batch.py` explains the shapes and the letters that all other modules use.
"""
