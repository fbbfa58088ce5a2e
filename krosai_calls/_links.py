"""The link to a recording: which ones are followed, and where a fresh one comes from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from yarl import URL

from krosai_calls._hosts import is_public
from krosai_calls._text import Secret, visible
from krosai_calls.errors import DownloadError
from krosai_calls.models import Call, RecordingLink

MOST_LINK_CHARS = 8 * 1024
MOST_RENEWALS = 3
MOST_REDIRECTS = 3
# A service that hands out a link which does not open may need a moment: seconds before each further one.
RENEWAL_PAUSES = (0.0, 1.0, 5.0)


class Link:
    """The link to one recording: the call's own at first, and a fresh one whenever storage refuses it.

    Args:
        call: The call, or its id.
        fresh_link: Asks the API for a link; raises RecordingNotReadyError or RecordingGoneError where there is
            none.
        api_url: The API's address.
        sleep: Waits for seconds.

    Attributes:
        call_id: The call.
        size_bytes: How long the recording is, where the API said so with the link.
        duration_seconds: How long it lasts, where anything says so.
    """

    def __init__(
        self,
        call: Call | str,
        fresh_link: Callable[[str], Awaitable[RecordingLink]],
        *,
        api_url: URL,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.call_id = call if isinstance(call, str) else call.id
        self.size_bytes: int | None = None
        self.duration_seconds = None if isinstance(call, str) else call.duration
        self._url = None if isinstance(call, str) else call.recording_url
        self._fresh_link = fresh_link
        self._api_url = api_url
        self._sleep = sleep
        self._renewals = self._redirects = 0

    async def current(self) -> Secret:
        """The link to use now; its query is as good as a key for an hour.

        Raises:
            DownloadError: It is not to be followed.
        """
        if not self._url:
            fresh = await self._fresh_link(self.call_id)
            self._url, self.size_bytes = fresh.url, fresh.size_bytes
            if self.duration_seconds is None:
                self.duration_seconds = fresh.duration_seconds
        self._redirects = 0
        return self._checked(Secret(self._url or ""), "the link to")

    def redirected(self, link: Secret, location: Secret) -> Secret:
        """Where a link leads on to.

        Raises:
            DownloadError: That is not to be followed, or it goes on and on.
        """
        self._redirects += 1
        if self._redirects > MOST_REDIRECTS:
            raise DownloadError(f"the link to {self._what} leads on and on", call_id=self.call_id)
        return self._checked(_joined(link, location), "where storage leads on to for")

    async def renew(self) -> None:
        """Forget the link, so that a fresh one is asked for.

        Raises:
            DownloadError: There were enough.
        """
        if self._renewals == MOST_RENEWALS:
            raise DownloadError(f"storage refuses every link to {self._what}", call_id=self.call_id)
        if pause := RENEWAL_PAUSES[self._renewals]:
            await self._sleep(pause)
        self._renewals += 1
        self._url = None

    def has_helped(self) -> None:
        """Something new has come: a link that expires now may be replaced as often as the first."""
        self._renewals = 0

    @property
    def _what(self) -> str:
        return f"the recording of call {self.call_id}"

    def _checked(self, url: Secret, which: str) -> Secret:
        problem = link_problem(url.reveal(), api_url=self._api_url)
        if problem:
            raise DownloadError(f"{which} {self._what} is refused: {problem}", call_id=self.call_id)
        return url


def _joined(link: Secret, location: Secret) -> Secret:
    """Where a redirect leads to; nowhere, where that is no address or not as safe as what led there."""
    try:
        target = str(URL(link.reveal(), encoded=True).join(URL(location.reveal(), encoded=True)))
    except ValueError:
        return Secret("")
    is_less_safe = link.reveal().startswith("https:") and not target.startswith("https:")
    return Secret("" if is_less_safe else target)


def link_problem(link: str, *, api_url: URL) -> str:
    """Why a link is not followed, or empty.

    Args:
        link: What the service gave.
        api_url: The API's address.
    """
    # The raw text is looked at first: a parser would drop line ends and turn odd digits into plain ones.
    if len(link) > MOST_LINK_CHARS or not link.isascii() or visible(link) != link or set(link) & set(' \\"<>'):
        return "it holds characters that no link has, or is far too long"
    try:
        url = URL(link, encoded=True)
        host, port, has_user = url.host, url.port, url.user is not None
    except ValueError:
        return "it is no address"
    if url.scheme not in ("https", "http") or not host or port == 0:
        return "it names no http(s) host"
    if has_user:
        return "it holds a user or password"
    if url.scheme == "http" and api_url.scheme == "https":
        return "it is plain http, although the API is https"
    if is_public(api_url.host or "") and not is_public(host):
        return "it leads into a private network, although the API is public"
    return ""
