"""Traces by OpenTelemetry, where its own variables say where to send them; otherwise nothing of it is loaded.

OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 ruthan-serve
"""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from fastapi import FastAPI

from serve.settings import SettingsError

_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

_tracer: Any = None


def configure(app: FastAPI) -> None:
    """Trace the requests of an application, if a place to send traces to is named.

    :raises SettingsError: one is named, and the packages are not installed.
    """
    global _tracer  # noqa: PLW0603  # one a process, as the library has it
    if not any(os.environ.get(name) for name in _VARIABLES):
        return
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(f"{error.name} is not installed; run: pip install 'ruthan[tracing]'") from error
    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "ruthan")})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=provider,
        excluded_urls="healthz,readyz,metrics",
        exclude_spans=["receive", "send"],
        server_request_hook=_without_caller,
    )
    _tracer = provider.get_tracer("ruthan")
    app.state.traces = provider
    trace.set_tracer_provider(provider)


def span(name: str, **attributes: int | str) -> AbstractContextManager[Any]:
    """A stretch of work within a trace; nothing where there are no traces. Attributes hold counts, never texts."""
    if _tracer is None:
        return nullcontext()
    context: AbstractContextManager[Any] = _tracer.start_as_current_span(name, attributes=attributes)
    return context


_CALLER = (
    *("net.peer.ip", "net.peer.port", "http.client_ip", "http.user_agent"),
    *("client.address", "client.port", "network.peer.address", "network.peer.port", "user_agent.original"),
)


def _without_caller(span: Any, scope: dict[str, Any]) -> None:
    """Neither who calls, nor the query, which may name a file of the caller's."""
    if span and span.is_recording():
        for name in ("http.url", "url.full", "url.query", "http.target"):
            if name in span.attributes:
                span.set_attribute(name, scope.get("path", ""))
        for name in _CALLER:
            if name in span.attributes:
                span.set_attribute(name, "")
