"""What a request that could not be parsed is refused with."""

from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from gateway.errors import Problem, Reason


def parse_problem(error: BaseException | None) -> Problem:
    """RFC 9110 §15.5.15 and RFC 6585 §5: too long is told from malformed; anything else is 400."""
    if isinstance(error, LineTooLong):
        # The parser shows a target as a bytearray, a field as bytes: its only hint at what was too long.
        target = str(error.args[0]).startswith("bytearray")
        return Problem(Reason.target_too_long if target else Reason.fields_too_large)
    if isinstance(error, BadHttpMessage) and "Too many headers" in str(error):
        return Problem(Reason.fields_too_large)
    return Problem(Reason.malformed_request)
