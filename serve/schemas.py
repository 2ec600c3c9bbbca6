"""What the endpoint takes and gives, as the OpenAPI document shows it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

_EXAMPLE = "คุณได้รับสิทธิ์กู้ 50,000 บาท ไม่เช็คบูโร แอดไลน์ @quickcash"


class ScanRequest(BaseModel):
    """One message."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [{"text": _EXAMPLE}]})

    # Checked by the route and not here, where a half emoji, which phones do send, would be refused.
    text: Annotated[Any, WithJsonSchema({"type": "string", "description": "the message as received"})]


class BatchRequest(BaseModel):
    """A list of messages. Each is judged by itself: one that cannot be read never fails the others."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"messages": [{"text": _EXAMPLE}]}]})

    messages: list[Any] = Field(description="objects with a field text")


class Evidence(BaseModel):
    """Something found in the text; `text` is exactly the code points `start` to `end` of the message."""

    kind: Literal["indicator", "signal", "disguise"]
    type: str
    value: str = ""
    text: str
    start: int
    end: int
    details: dict[str, str] = Field(
        default_factory=dict, description="such as domain, official, lookalike, bank, quoted"
    )


class RecruitmentSigns(BaseModel):
    """How many signs of each strength a message about work shows; never a finding about a person."""

    strong: int
    medium: int
    weak: int


class WordWeight(BaseModel):
    """A word the model went by, and how far the log-odds of the label fall without it."""

    text: str
    start: int
    end: int
    weight: float


class Verdict(BaseModel):
    """What ruthan says about one message."""

    risk: float = Field(ge=0, le=1, description="calibrated probability that the message is harmful")
    label: str
    action: Literal["allow", "review", "block"]
    scores: dict[str, float]
    evidence: list[Evidence]
    reasons: list[str] = Field(description="one to three sentences in Thai")
    reasons_en: list[str]
    advice: list[str] = Field(description="what to do, in Thai; empty for what is allowed")
    advice_en: list[str]
    needs_help: bool = Field(description="someone in the message may be held or missing: a person should read it soon")
    recruitment: RecruitmentSigns | None = Field(None, description="of a message about work")
    model: str
    policy: str
    windows: int = Field(ge=0, description="stretches the text was read in; more than 1 for a long one")
    words: list[WordWeight] | None = Field(None, description="with explain=true")


class ItemError(BaseModel):
    """Why one message of a batch has no verdict."""

    error: str


class BatchResponse(BaseModel):
    """One result a message, in the order of the request."""

    results: list[Verdict | ItemError]


class ModelResponse(BaseModel):
    """The model that answers."""

    name: str
    labels: list[str]
    policy: str
    window_tokens: int
    licence: str
    attribution: str
    metrics: dict[str, Any]


class Health(BaseModel):
    """The service is up and its model is loaded."""

    status: Literal["ok"]
    model: str
