"""`/-/livez` and `/-/readyz`: whether the process runs, and whether it should get traffic."""

from collections.abc import Callable, Mapping

from gateway.messages import Answer

_LINES = b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"


class Health:
    """Ready once started and until draining, as long as every check holds."""

    def __init__(self, checks: Mapping[str, Callable[[], bool]]) -> None:
        self._checks = checks
        self.serving = False

    def answer(self, path: str) -> Answer | None:
        """The answer for a path that ends in `/livez` or `/readyz`, None for any other."""
        if path.endswith("/livez"):
            return Answer(200, "OK", _LINES, b"ok\n")
        if path.endswith("/readyz"):
            return self._readiness()
        return None

    def _readiness(self) -> Answer:
        failing = [name for name, holds in self._checks.items() if not holds()]
        if not self.serving:
            failing.insert(0, "serving")
        if failing:
            return Answer(503, "Service Unavailable", _LINES, f"not ready: {', '.join(failing)}\n".encode())
        return Answer(200, "OK", _LINES, b"ok\n")
