"""Errors as answers: one JSON shape, and the same message and code as a page.

{"error": {"code": "not-found", "message": "no record 12345678", "details": {…}}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from etdb import errors
from etdb.web import header
from etdb.web.template import Templates

STATUS: Mapping[type[errors.EtdbError], int] = {
    errors.EtdbError: 500,
    errors.ConfigError: 500,
    errors.InvalidDataError: 422,
    errors.InvalidRecordError: 422,
    errors.InvalidMessageError: 422,
    errors.InvalidSignatureError: 422,
    errors.ContentMismatchError: 404,  # other bytes than those asked for: not here
    errors.NotFoundError: 404,
    errors.NotAllowedError: 403,
    errors.UnavailableError: 503,
    errors.ConflictError: 409,
    errors.DamagedFileError: 500,
}
"""The HTTP status of every error."""

RETRY_AFTER_S = "5"
"""What a visitor is told where something is not to be had just now."""

_CODES: Mapping[int, str] = {
    400: "invalid-data",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    412: "precondition-failed",
    416: "range-not-satisfiable",
    422: "invalid-data",
}


@dataclass(frozen=True)
class Problem:
    """What went wrong, as every interface says it."""

    status: int
    code: str
    message: str
    hint: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The one error shape."""
        hint = {"hint": self.hint} if self.hint else {}
        details = jsonable_encoder({**self.details, **hint})
        return {
            "error": {"code": self.code, "message": self.message, "details": details}
        }


def problem_of(error: Exception) -> Problem:
    """What an error is to a visitor. A bug of ours shows nothing of itself."""
    if isinstance(error, errors.EtdbError):
        status = STATUS[type(error)]
        again = {"Retry-After": RETRY_AFTER_S} if status == 503 else {}
        said = (error.message, error.hint, error.facts)
        return Problem(status, error.code, *said, headers=again)
    if isinstance(error, RequestValidationError):
        return _invalid_parameter(error)
    if isinstance(error, HTTPException):
        code = _CODES.get(error.status_code, "error")
        headers = error.headers or {}
        return Problem(error.status_code, code, str(error.detail), headers=headers)
    return Problem(
        500,
        "error",
        "something went wrong on this node",
        headers={"Connection": "close"},  # the server hangs up after a bug
    )


def _invalid_parameter(error: RequestValidationError) -> Problem:
    first = error.errors()[0]
    name = str(first["loc"][-1])
    return Problem(422, "invalid-data", f"{name}: {first['msg']}", details={"in": name})


class Problems:
    """Answers errors: JSON to programs, a page to people."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def install(self, app: FastAPI) -> None:
        """Answer every error an application can raise."""
        kinds = (errors.EtdbError, HTTPException, RequestValidationError, Exception)
        for kind in kinds:
            app.add_exception_handler(kind, self.answer)

    def answer(self, request: Request, error: Exception) -> Response:
        """The answer to an error, in the form the visitor reads."""
        problem = problem_of(error)
        answer: Response
        if _is_program(request):
            answer = JSONResponse(problem.as_json(), problem.status, header.OPEN)
        else:
            answer = self._templates.page(
                request, "problem.html", status=problem.status, problem=problem
            )
        answer.headers.update(problem.headers)
        header.confine(MutableHeaders(raw=answer.raw_headers))
        return answer


def _is_program(request: Request) -> bool:
    path = request.url.path
    if path.startswith("/ipfs/"):
        return "text/html" not in request.headers.get("accept", "")
    return path.startswith(("/api/", "/routing/")) and path != "/api/docs"
