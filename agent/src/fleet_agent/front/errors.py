"""The one error of the local API: whatever is refused or fails is answered as ``{"error": text}``."""


class HttpError(Exception):
    """Answer the request with ``status`` and ``text``; ``headers`` are whole lines beside the usual ones."""

    def __init__(self, status: int, text: str, *, headers: bytes = b"") -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text
        self.headers = headers
