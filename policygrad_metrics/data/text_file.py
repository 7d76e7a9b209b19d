"""The text of a file, what a file is that holds none, and rows as a text."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_SAVE_AS = 'open it and save the sheet as "CSV UTF-8", one file for each sheet'
_SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers")
#: How files of other kinds begin -> what they are.
_BEGINNINGS = (
    (b"\xd0\xcf\x11\xe0", f"a spreadsheet (Excel .xls); {_SAVE_AS}"),
    (b"BZh", "compressed with bzip2; unpack it, or compress it with gzip as .csv.gz"),
    (b"\xfd7zXZ", "compressed with xz; unpack it, or compress it with gzip as .csv.gz"),
    (b"%PDF", "a PDF; export the table as CSV"),
    (b"PAR1", "a Parquet file; pandas.read_parquet(...).to_csv(...) writes it as CSV"),
    (b"\x89HDF", "an HDF5 or netCDF file; write the series as CSV"),
    (b"CDF", "a netCDF file; write the series as CSV"),
    (b"[{", "JSON; pandas.read_json(...).to_csv(...) writes it as CSV"),
    (b'{"', "JSON; pandas.read_json(...).to_csv(...) writes it as CSV"),
    (b"<?xml", f"XML, as some programs name .xls or .csv; {_SAVE_AS}"),
    (b"<!doctype", f"a web page; download the file itself, or {_SAVE_AS}"),
    (b"<html", f"a web page; download the file itself, or {_SAVE_AS}"),
    (b"<table", f"a web page's table; {_SAVE_AS}"),
)
#: Characters of a block of text.
_BLOCK = 2**22
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path, encoding: str | None = None) -> str:
    """Return the text of a file; compressed with gzip if its name ends in .gz.

    Args:
        path: The file.
        encoding: How its text is written; None for UTF-8.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
        ValueError: It is no text, or in another encoding; the message says what to do.
    """
    _check_encoding(encoding)
    content = _content(path)
    _check_kind(path, content, encoding)
    try:
        return content.decode(encoding or "utf-8-sig").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _undecodable(path, encoding, f"line {line}: {error.reason}") from error


def text_blocks(path: Path, encoding: str | None = None) -> Iterator[str]:
    """Yield the text of a file in blocks of whole lines, some megabytes each.

    Quoted cells may run over several lines; no block ends in one.

    Args:
        path, encoding: As for `read_text`, and its errors.
    """
    _check_encoding(encoding)
    _check_kind(path, _content(path, _BLOCK), encoding)
    how: Any = {"encoding": encoding or "utf-8-sig", "newline": ""}
    zipped = path.suffix.lower() == ".gz"
    lines = 0
    try:
        with gzip.open(path, "rt", **how) if zipped else path.open(**how) as file:
            while block := file.read(_BLOCK) + file.readline():
                while block.count('"') % 2 and (line := file.readline()):
                    block += line
                yield block if lines else block.removeprefix("\ufeff")
                lines += block.count("\n")
    except UnicodeDecodeError as error:
        raise _undecodable(path, encoding, f"behind line {lines}: {error.reason}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"path={str(path)!r} is not a whole gzip file: {error}.") from error


def csv_text(rows: Iterable[Iterable[Any]], sep: str = ",") -> str:
    r"""Return rows of cells as lines of CSV.

    >>> csv_text([["No", "a,b"], [1, 2]])
    'No,"a,b"\n1,2\n'
    """
    stream = io.StringIO()
    csv.writer(stream, delimiter=sep, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _check_encoding(encoding: str | None) -> None:
    try:
        codecs.lookup(encoding or "utf-8")
    except LookupError:
        raise ValueError(
            f"encoding={encoding!r} (--encoding) is not known; common ones are utf-8, "
            "latin-1, cp1252, utf-16, gb18030 and shift_jis."
        ) from None


def _check_kind(path: Path, content: bytes, encoding: str | None) -> None:
    kind = _other_kind(path, content)
    if kind:
        raise ValueError(f"path={str(path)!r} is {kind}.")
    wide = content[:2] in _MARKS or content[:1000].count(0) > len(content[:1000]) / 4
    if encoding is None and wide:
        raise ValueError(
            f"path={str(path)!r} is not UTF-8 text but looks like UTF-16: give encoding='utf-16' "
            "(--encoding utf-16)."
        )


def _undecodable(path: Path, encoding: str | None, where: str) -> ValueError:
    return ValueError(
        f"path={str(path)!r} is not {(encoding or 'utf-8').upper()} text ({where}); say how it is "
        "written: encoding='cp1252' (--encoding cp1252) for files of Western Windows, latin-1, "
        "gb18030, ..."
    )


def _content(path: Path, most: int = -1) -> bytes:
    """The first bytes of a file, or all of them."""
    if not path.exists():
        raise FileNotFoundError(f"path={str(path)!r}: there is no such file.")
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            return file.read(most)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"path={str(path)!r} is not a whole gzip file: {error}.") from error
    except OSError as error:
        raise type(error)(f"path={str(path)!r} cannot be read: {error}.") from error


def _other_kind(path: Path, content: bytes) -> str | None:
    """Return what the file is and what to do, None if it may be text."""
    if content.startswith(b"PK\x03\x04"):
        return _archive(path)
    if content.startswith(b"\x1f\x8b"):
        return "compressed with gzip; its name must end in .csv.gz"
    start = content[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for beginning, kind in _BEGINNINGS:
        if start.startswith(beginning.lower()):
            return kind
    return f"named as a spreadsheet; {_SAVE_AS}" if path.suffix.lower() in _SHEETS else None


def _archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        names = []
    if path.suffix.lower() in _SHEETS or {"xl/workbook.xml", "content.xml"} & set(names):
        return f"a spreadsheet (Excel or LibreOffice); {_SAVE_AS}"
    held = f", which holds {', '.join(names[:3])}" if names else ""
    return f"a zip archive{held}; unpack it and give the CSV file in it"
