"""The scan endpoint."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ruthan import __version__
from ruthan.errors import MessageError
from ruthan.scanner import Scanner
from serve.schemas import BatchRequest, BatchResponse, Health, ModelResponse, ScanRequest, Verdict
from serve.settings import Settings

SCAN_HELP = 'send a JSON object with the message in "text", as in {"text": "สวัสดี"}'
EXPLAIN_HELP = "send explain=true or explain=false, or leave it out"
BATCH_HELP = 'send a JSON object with a list, as in {"messages": [{"text": "สวัสดี"}]}'


def create_app(settings: Settings, scanner: Scanner) -> FastAPI:
    """The application around a loaded scanner."""
    app = FastAPI(
        title="ruthan",
        version=__version__,
        description="รู้ทัน: says which messages are scams or trafficking recruitment, of what kind and how sure it is.",
        docs_url=None,  # the framework's pages load scripts from elsewhere; the document itself is at /openapi.json
        redoc_url=None,
    )

    # Plain functions: the framework runs them on worker threads, so that scanning never blocks the event loop.

    @app.post("/v1/scan", response_model=Verdict, response_model_exclude_unset=True)
    def scan(request: ScanRequest, explain: bool = False) -> dict[str, Any]:
        """Judge one message; with `explain=true` also say which words the model went by, at ten times the cost."""
        return scanner.scan(_text({"text": request.text}, settings), explain).to_dict()

    @app.post("/v1/scan/batch", response_model=BatchResponse, response_model_exclude_unset=True)
    def scan_batch(request: BatchRequest, explain: bool = False) -> dict[str, Any]:
        """Judge a list of messages, in order; with `explain=true` a tenth as many may be sent."""
        most = max(1, settings.max_batch // 10) if explain else settings.max_batch
        if len(request.messages) > most:
            raise MessageError(f"{len(request.messages)} messages; send at most {most} at a time")
        results: list[dict[str, Any] | None] = []
        texts: list[str] = []
        for item in request.messages:
            try:
                texts.append(_text(item, settings))
                results.append(None)
            except MessageError as error:
                results.append({"error": str(error)})
        verdicts = scanner.scan_many(texts, explain)
        return {"results": [next(verdicts).to_dict() if result is None else result for result in results]}

    @app.get("/v1/model", response_model=ModelResponse)
    def model() -> dict[str, Any]:
        """Which model and policy answer, with the figures measured when the model was made."""
        info = scanner.classifier.info
        return {
            "name": info.name,
            "labels": list(info.labels),
            "policy": scanner.policy.name,
            "window_tokens": info.window_tokens,
            "licence": info.licence,
            "attribution": info.attribution,
            "metrics": info.metrics,
        }

    @app.get("/healthz", response_model=Health)
    def health() -> dict[str, str]:
        """Whether the service can answer."""
        return {"status": "ok", "model": scanner.model}

    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)

    @app.exception_handler(MessageError)
    def unscannable(request: Request, error: MessageError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 422)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        if any(problem["loc"][0] == "query" for problem in error.errors()):
            return JSONResponse({"error": EXPLAIN_HELP}, 422)
        return JSONResponse({"error": _help(request)}, 422)

    @app.exception_handler(HTTPException)
    def failed(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:  # the framework's answer to a body that is not even text
            return JSONResponse({"error": _help(request)}, 422)
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    return app


class BodyLimit:
    """Refuses a request body as soon as it grows beyond a size, whatever its headers say."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise HTTPException(413, f"the request is too large; send at most {self.max_bytes:,} bytes")
            return message

        await self.app(scope, limited, send)


def _help(request: Request) -> str:
    return BATCH_HELP if request.url.path.endswith("/batch") else SCAN_HELP


def _text(item: Any, settings: Settings) -> str:
    """The message of a request item; errors never quote it.

    :raises MessageError: there is none, or it is too long.
    """
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        raise MessageError(SCAN_HELP)
    text: str = item["text"]
    if len(text) > settings.max_text_length:
        raise MessageError(
            f"the text has {len(text):,} characters; send at most {settings.max_text_length:,}, or in parts"
        )
    return text
