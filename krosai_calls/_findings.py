"""What a verification of an archive can find, and how it is told."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen


class Problem(StrEnum):
    """What can be found."""

    MISSING = "missing"  # the catalogue has it as saved, and there is no such file
    CHANGED = "changed"  # its size or its digest is another, or it is no file at all
    UNREADABLE = "unreadable"  # this user may not read it
    FOREIGN = "foreign"  # a file that the catalogue does not know
    PARTIAL = "partial"  # the beginning of a recording: a run goes on with it
    SET_ASIDE = "set aside"  # a damaged file that a repair has put out of the way
    CATALOGUE = "catalogue"  # the catalogue itself is damaged


REPAIRABLE: Final = frozenset({Problem.MISSING, Problem.CHANGED})
_HARMLESS: Final = frozenset({Problem.PARTIAL, Problem.SET_ASIDE})


@frozen
class Finding:
    """One thing that is not as it should be.

    Attributes:
        problem: What is wrong: ``missing``, ``changed``, ``unreadable``, ``foreign``, ``partial``,
            ``set aside`` or ``catalogue``.
        path: The file; None where the catalogue names none inside of the folder.
        detail: The same in a few words more.
        call_id: The call it belongs to; None for a file that the catalogue does not know.
        kind: ``recording`` or ``transcript``, or None.
    """

    problem: Problem
    path: Path | None
    detail: str
    call_id: str | None = None
    kind: str | None = None


@frozen(kw_only=True)
class VerifyReport:
    """What a verification has found.

    Attributes:
        recordings: Recordings that were looked at.
        transcripts: Transcripts that were looked at.
        bytes_read: How much was read to do so.
        findings: Everything that is not as it should be.
    """

    recordings: int = 0
    transcripts: int = 0
    bytes_read: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether every file that the catalogue has is there and unchanged, and no other is.

        Beginnings of recordings and files that were set aside are no fault.
        """
        return not self.faults

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings that are faults."""
        return tuple(finding for finding in self.findings if finding.problem not in _HARMLESS)

    @property
    def repairable(self) -> tuple[Finding, ...]:
        """The findings that fetching again can mend."""
        return tuple(finding for finding in self.findings if finding.problem in REPAIRABLE)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        plain = asdict(self, value_serializer=lambda _, __, value: _plain(value))
        return {"is_sound": self.is_sound, **plain}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path | Problem) else value
