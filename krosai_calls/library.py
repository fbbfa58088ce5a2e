"""``Archive``: using what ``archive`` has saved, without a client, a key or a network.

Everything blocks, and quickly; nothing is written but the files that are asked for. The catalogue is opened
for each question and closed after it, so that an archive may be shared between threads, and used while a run
writes into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from krosai_calls._arguments import When, filters_of
from krosai_calls._catalog_reading import Conditions, conditions_of, pages_of_rows, reading
from krosai_calls._checksums import SUMS_NAME, checksum_pieces
from krosai_calls._codec import read_call
from krosai_calls._exporting import (
    COLUMNS,
    ExportColumn,
    ExportFormat,
    Writable,
    export_pieces,
    require_fitting,
    write_pieces,
)
from krosai_calls._findings import Finding, Problem, VerifyReport
from krosai_calls._json import UnfitError
from krosai_calls._searching import SearchHit, question_of, search
from krosai_calls._verifying import VerifyProgress, verify
from krosai_calls.errors import ArchiveError
from krosai_calls.models import Call

__all__ = ["COLUMNS", "Archive", "ExportColumn", "Finding", "Problem", "SearchHit", "VerifyReport"]

_CALLS_AT_ONCE = 200


class Archive:
    """The folder that ``archive`` has filled.

    Filters are those of ``list_calls``, by the same names. A record keeps its link without the signature; a client
    that gets such a call asks for a new one.

    Args:
        directory: The folder.

    Raises:
        ArchiveError: There is no archive, it is damaged, or another version of this package made it. Every method
            may raise it, too.
    """

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory).absolute()
        with reading(self._directory):
            pass

    def __repr__(self) -> str:
        return f"Archive({str(self._directory)!r})"

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Nothing is held between two questions.
        return None

    @property
    def directory(self) -> Path:
        """The folder, absolute."""
        return self._directory

    def search(
        self,
        query: str,
        *,
        limit: int = 20,
        markers: tuple[str, str] = ("", ""),
        speaker: str | None = None,
        status: str | None = None,
        direction: str | None = None,
        phone_number_id: str | None = None,
        endpoint_id: str | None = None,
        from_date: When = None,
        to_date: When = None,
    ) -> list[SearchHit]:
        """The turns in which something was said.

        Up to 2,000 turns that match are ranked (by BM25, among themselves) and the best come first; where
        more match, those of the newest calls do, in bounded time whatever the size of the archive.

        Args:
            query: In the syntax of SQLite's FTS5: words that must all occur in a turn, ``"a phrase"``, ``begin*``,
                ``OR``, ``NOT``, ``NEAR(a b, 5)``. Case and diacritics make no difference.
            limit: How many turns at most.
            markers: What stands before and after each word that matches, in the snippets.
            speaker: Only turns with this label, such as ``Caller``.
            status: Only calls that stand like this.
            direction: Only calls of this direction.
            phone_number_id: Only calls over this number of the account.
            endpoint_id: Only calls that this endpoint handled.
            from_date: Only calls created then or later.
            to_date: Only calls created then or earlier.

        Returns:
            One hit for each turn.

        Raises:
            InvalidArgumentError: The query is not in that syntax, or another argument cannot be right.
        """
        filters = filters_of(status, direction, phone_number_id, endpoint_id, from_date, to_date)
        question = question_of(query, limit=limit, markers=markers, filters={**filters, "speaker": speaker})
        with reading(self._directory) as connection:
            return search(connection, self._directory, question)

    def calls(
        self,
        *,
        status: str | None = None,
        direction: str | None = None,
        phone_number_id: str | None = None,
        endpoint_id: str | None = None,
        from_date: When = None,
        to_date: When = None,
    ) -> Iterator[Call]:
        """Every call that matches, newest first and those without a time last, read as far as it is iterated.

        Raises:
            InvalidArgumentError: A filter cannot be right.
        """
        filters = filters_of(status, direction, phone_number_id, endpoint_id, from_date, to_date)
        return _calls(self._directory, conditions_of(filters))

    def count(
        self,
        *,
        status: str | None = None,
        direction: str | None = None,
        phone_number_id: str | None = None,
        endpoint_id: str | None = None,
        from_date: When = None,
        to_date: When = None,
    ) -> int:
        """How many calls match.

        Raises:
            InvalidArgumentError: A filter cannot be right.
        """
        filters = filters_of(status, direction, phone_number_id, endpoint_id, from_date, to_date)
        conditions = conditions_of(filters)
        with reading(self._directory) as connection:
            statement = f"SELECT count(*) FROM calls WHERE {conditions.sql}"  # noqa: S608 - our words
            return int(connection.execute(statement, conditions.values).fetchone()[0])

    def verify(self, *, progress: VerifyProgress | None = None) -> VerifyReport:
        """Whether every file is there and unchanged, to the last byte; it takes as long as reading them takes.

        It may run beside an archive run: what that changes meanwhile is looked at again.

        Args:
            progress: Called after each file with the number of files looked at, and of those to look at.

        Returns:
            What was found; ``is_sound`` says whether all is well.
        """
        return verify(self._directory, progress)

    def export(
        self,
        file_format: ExportFormat,
        destination: str | Path | Writable,
        *,
        status: str | None = None,
        direction: str | None = None,
        phone_number_id: str | None = None,
        endpoint_id: str | None = None,
        from_date: When = None,
        to_date: When = None,
    ) -> int:
        """Write one row a call, newest first, with the columns that ``krosai_calls.library.COLUMNS`` names.

        These are the fields of ``Call``, and then state, path (relative to the folder, where there is a file) and
        digest of recording and transcript. Times are ISO 8601 in UTC. In CSV a text that a spreadsheet could run
        as a formula gets an apostrophe before it; phone numbers such as ``+15550100`` stay as they are.

        Args:
            file_format: ``csv``, ``jsonl``, or ``parquet``, for which the extra of that name must be installed.
            destination: A path, whose file appears when it is whole, for its owner alone; or a file open for
                writing, which stays open; Parquet goes into binary files alone.
            status: Only calls that stand like this.
            direction: Only calls of this direction.
            phone_number_id: Only calls over this number of the account.
            endpoint_id: Only calls that this endpoint handled.
            from_date: Only calls created then or later.
            to_date: Only calls created then or earlier.

        Returns:
            How many calls were written.

        Raises:
            InvalidArgumentError: There is no such format, or a filter cannot be right.
            SettingsError: The format needs a library that is not installed.
            LocalFileError: The path cannot be written.
        """
        filters = filters_of(status, direction, phone_number_id, endpoint_id, from_date, to_date)
        require_fitting(file_format, destination)
        return write_pieces(export_pieces(file_format, self._directory, conditions_of(filters)), destination)

    def write_checksums(self) -> int:
        """Write ``SHA256SUMS`` into the folder: run there, ``sha256sum -c SHA256SUMS`` checks every file.

        Returns:
            How many files it names.

        Raises:
            LocalFileError: It cannot be written.
        """
        return write_pieces(checksum_pieces(self._directory), self._directory / SUMS_NAME)


def _calls(directory: Path, conditions: Conditions) -> Iterator[Call]:
    select = "SELECT calls.id, calls.created_at, calls.raw FROM calls"
    for rows in pages_of_rows(directory, select, conditions, page_size=_CALLS_AT_ONCE):
        for call_id, _, raw in rows:
            yield _call(call_id, raw)


def _call(call_id: str, raw: Any) -> Call:
    try:
        return read_call(raw.encode("utf-8") if isinstance(raw, str) else bytes(raw))
    except (UnfitError, TypeError) as unfit:
        words = f"the catalogue's row of call {call_id} is damaged ({unfit}): archive it once more"
    raise ArchiveError(words)
