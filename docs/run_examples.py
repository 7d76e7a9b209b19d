"""Run every example in its quick form, and keep what it prints and draws for the gallery.

An example that skips, because a package of an extra is not installed, keeps what it printed before.

    python docs/run_examples.py [names of examples; default: all]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main():
    for example in sorted((ROOT / "examples").glob("*.py")):
        if sys.argv[1:] and example.stem not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, str(example), "--quick", "--out", out]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            if done.stdout.startswith("skipped"):
                print(example.name, done.stdout.strip())
                continue
            kept = ROOT / "docs" / "gallery" / example.stem
            kept.with_suffix(".txt").write_text(done.stdout.replace(out, "OUT"))
            for picture in Path(out).glob("*.png"):
                kept.with_suffix(".png").write_bytes(picture.read_bytes())
        print(example.name)


if __name__ == "__main__":
    main()
