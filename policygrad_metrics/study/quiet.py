"""Start TensorFlow without its start-up lines."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def quiet_start() -> Iterator[None]:
    """Keep back what native code writes to standard error; write it after all on failure.

    No environment variable silences TensorFlow's start-up lines, so the file descriptor is changed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except Exception:
            sys.stderr.flush()
            kept.seek(0)
            os.write(terminal, kept.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)


def start_tensorflow(threads: int | None = None) -> None:
    """Import TensorFlow in a process of one's own, quietly; a library must not do so.

    Args:
        threads: How many it may compute with; None leaves that to it.
    """
    with quiet_start():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # it warns of every program that is compiled
        if threads is not None:
            # Too late where something else has computed with it before.
            with suppress(RuntimeError):
                tf.config.threading.set_intra_op_parallelism_threads(threads)
                tf.config.threading.set_inter_op_parallelism_threads(threads)
        # The first compiled function logs as well.
        tf.function(lambda: tf.zeros([]), jit_compile=True)()
