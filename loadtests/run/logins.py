"""Keeps the user and the password of a URL apart from what Locust knows, and shows, of the server."""

from typing import Any

from shared.wire.target import Header, parse_target, printable_url, without_login


class Logins:
    """What URLs said of who we are, by the URLs without it."""

    def __init__(self) -> None:
        self._headers: dict[str, tuple[Header, ...]] = {}

    def hide(self, environment: Any) -> None:
        """
        Take user and password out of the URL that Locust has; it stands on its pages, in its logs and file names.

        Raises:
            ValueError: it is no URL of a server.

        """
        for place in (environment, environment.parsed_options):
            url = place.host or ""
            place.host = printable_url(url) or None  # whatever comes of it
            headers = parse_target(url).headers if "@" in url else ()
            place.host = without_login(url) or None
            if place.host and headers:
                self._headers[place.host] = headers

    def of(self, url: str | None) -> tuple[Header, ...]:
        """Return the headers that go with a URL in which they were hidden."""
        return self._headers.get(url or "", ())
