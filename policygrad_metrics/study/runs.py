"""Runs on disk that survive a crash: one JSON line for each, flushed to the disk.

A directory holds `settings.json`, written before the first run, and `runs.jsonl`, to which every
finished replica is appended. A lock on the file `lock` keeps a second process out; the operating
system drops it when a process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from policygrad_metrics.core import durable
from policygrad_metrics.core.checks import differing_setting
from policygrad_metrics.study.records import Run, StudyError, finite, load_predictions, path_of

SETTINGS, RUNS, LOCK = "settings.json", "runs.jsonl", "lock"
#: The fields of a data set that must not change when a study is resumed.
_SAME = {
    "fingerprint": "data",
    "horizon": "horizon of",
    "reward": "reward of",
    "subject_to": "subject_to of",
}


class RunStore:
    """An open directory of runs; use `RunStore.open`.

    Args:
        directory: The directory.
        runs: What it holds, by key.
        repaired: Bytes of a torn last line that were removed; 0 if it was whole.
    """

    def __init__(self, directory: Path, runs: dict[tuple[str, str, int], Run], repaired: int):
        self.directory = directory
        self.runs = runs
        self.repaired = repaired

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        directory: str | os.PathLike[str],
        settings: Mapping[str, Any],
        *,
        resume: bool = True,
        predictions: bool = False,
    ) -> Iterator[RunStore]:
        """Lock the directory, compare and write the settings, and read the runs.

        Args:
            directory: Made if it does not exist.
            settings: Plain JSON values. All under "fixed" must be as in the earlier sitting; under
                "data" the "fingerprint", "horizon" and "reward" of each data set that both name.
            resume: Keep the earlier runs; else they are moved aside (`runs.1.jsonl`), not deleted.
            predictions: Runs have their predictions: one that lacks them is not done.

        Raises:
            StudyError: The directory is in use, cannot be written, or holds runs that were made
                with other settings (the message names the first that differs).
        """
        directory = Path(directory)
        make_directory(directory)
        with _held(directory):
            path = directory / RUNS
            with _explained(directory, "be read"):
                if not resume:
                    _move_aside(path)
                elif path.exists():
                    settings = _agree(directory, settings)
                repaired = _repair(path)
                runs = _read(path)
            if predictions:
                runs = _with_predictions(directory, runs)
            text = json.dumps(finite(settings), indent=2, allow_nan=False)
            write_atomically(directory / SETTINGS, text + "\n")
            yield cls(directory, runs, repaired)

    def append(self, run: Run) -> None:
        """Add a run; when this returns it is on the disk, its predictions before its line.

        Raises:
            StudyError: The disk is full or the file cannot be written. A partly written line is
                taken back; everything before it stays.
        """
        if run.predictions is not None:
            file_of_run = path_of(self.directory, run.key)
            make_directory(file_of_run.parent, running=True)
            with _explained(file_of_run, "be written", running=True):
                durable.write_atomically(file_of_run, run.predictions.to_bytes())
        path = self.directory / RUNS
        new = not path.exists()
        with _explained(path, "be written", running=True):
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                length = os.fstat(file).st_size
                try:
                    durable.write_all(file, run.to_line())
                except OSError:
                    os.ftruncate(file, length)
                    raise
            finally:
                os.close(file)
            if new:
                durable.sync_directory(self.directory)
        self.runs[run.key] = run


def make_directory(directory: Path, *, running: bool = False) -> None:
    """Make a directory and those above it, unless they exist.

    Args:
        directory: The directory.
        running: Whether there are finished runs that an error should say to be kept.

    Raises:
        StudyError: It cannot be made.
    """
    with _explained(directory, "be made", running=running):
        directory.mkdir(parents=True, exist_ok=True)


def write_atomically(path: Path, text: str, *, running: bool = False) -> None:
    """Write a file so that a crash leaves either the old one or the new one, whole.

    Args:
        path: The file.
        text: What it is to hold.
        running: As for `make_directory`.

    Raises:
        StudyError: The disk is full or the file cannot be written.
    """
    with _explained(path, "be written", running=running):
        durable.write_atomically(path, text.encode())


def read_settings(directory: Path) -> dict[str, Any]:
    """Return what `settings.json` holds.

    Raises:
        StudyError: There is none, or it is damaged.
    """
    path = directory / SETTINGS
    try:
        settings = json.loads(path.read_bytes())
        if not {"fixed", "data"} <= set(settings):
            raise ValueError("it lacks 'fixed' or 'data'")
    except FileNotFoundError:
        raise StudyError(
            f"{directory} holds {RUNS} but no {SETTINGS}, so that nothing tells how its runs were "
            "made; choose another directory with --out, or pass --no-resume."
        ) from None
    except (ValueError, TypeError) as error:
        raise StudyError(
            f"{path} is damaged ({error}); choose another directory with --out, or pass "
            "--no-resume."
        ) from error
    return settings


def _agree(directory: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse other settings; keep what is known of data sets of earlier sittings."""
    old, new = read_settings(directory), finite(settings)
    different = differing_setting(old["fixed"], new["fixed"])
    for name, now in new["data"].items():
        before = old["data"].get(name, {})
        for field, what in _SAME.items():
            known = field in before or (
                before and field == "subject_to"
            )  # written if there are any
            if known and not different:
                different = differing_setting(before.get(field), now.get(field), f"{what} {name}")
    if different:
        raise StudyError(
            f"{directory} holds runs made with other settings: {different}. Give the same "
            "settings, choose another directory with --out, or pass --no-resume to start again."
        )
    return {**new, "data": {**old["data"], **new["data"]}}


def _repair(path: Path) -> int:
    """Remove what follows the last line end, the line a crash tore; return how many bytes."""
    if not path.exists():
        return 0
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())
    return len(content) - whole


def _read(path: Path) -> dict[tuple[str, str, int], Run]:
    if not path.exists():
        return {}
    runs = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            run = Run.from_line(line)
        except ValueError as error:
            raise StudyError(
                f"{path}, line {number} is no run ({error}); delete that line to train it again."
            ) from error
        runs[run.key] = run
    return runs


def _with_predictions(
    directory: Path, runs: Mapping[tuple[str, str, int], Run]
) -> dict[tuple[str, str, int], Run]:
    """The runs that have predictions, or diverged and have none."""
    found = {
        key: dataclasses.replace(run, predictions=load_predictions(path_of(directory, key)))
        for key, run in runs.items()
    }
    return {k: run for k, run in found.items() if run.diverged or run.predictions is not None}


def _move_aside(path: Path) -> None:
    if path.exists():
        number = 1
        while (aside := path.with_name(f"runs.{number}.jsonl")).exists():
            number += 1
        path.rename(aside)


def _held(directory: Path) -> Any:
    try:
        with _explained(directory, "be used"):
            return durable.hold(directory / LOCK)
    except durable.InUseError as error:
        raise StudyError(
            f"{directory} is in use by {error}; wait for it, or choose another directory with "
            "--out."
        ) from None


@contextlib.contextmanager
def _explained(path: Path, what: str, *, running: bool = False) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StudyError(
            f"{path} cannot {what}: {error.strerror or error}. Make room there, or choose another "
            "directory with --out.",
            running=running,
        ) from error
