"""A call that ends its process, for test_cluster.py; imports nothing that takes long."""

import os
import signal


def die(file, times):
    """Kill this process, but for the calls after so many."""
    with file.open("a") as calls:
        calls.write(f"{os.getpid()}\n")
    if file.read_text().count("\n") <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()
