"""How long an upstream took to answer, as its fetch finds out and all who wait for it may read."""


class Exchange:
    """Begun at `began` (steady seconds). `head` seconds went by to the response's head, None where none came.

    A second exchange for the same errand counts on.
    """

    __slots__ = ("_began", "_whole", "head")

    def __init__(self, began: float) -> None:
        self._began = began
        self._whole: float | None = None
        self.head: float | None = None

    @property
    def seconds(self) -> float | None:
        """To the end of what was waited for, which of an answer that streams is its head; None while it is awaited."""
        return self.head if self._whole is None else self._whole

    def answered(self, now: float) -> None:
        """The head is there."""
        self.head = max(0.0, now - self._began)

    def ended(self, now: float) -> None:
        """The content is there as well, or nothing more will come; later ends change nothing."""
        if self._whole is None:
            self._whole = max(0.0, now - self._began)
