"""What the endpoint takes and gives, as the OpenAPI document shows it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

LONGEST_CHANNEL = 100  # code points of a channel's name
_EXAMPLE = "คุณได้รับสิทธิ์กู้ 50,000 บาท ไม่เช็คบูโร แอดไลน์ @quickcash"


class ScanRequest(BaseModel):
    """One message."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [{"text": _EXAMPLE}]})

    # Checked by the route and not here, where a half emoji, which phones do send, would be refused.
    text: Annotated[Any, WithJsonSchema({"type": "string", "description": "the message as received"})]
    channel: Annotated[
        Any,
        WithJsonSchema(
            {
                "type": ["string", "null"],
                "maxLength": LONGEST_CHANNEL,
                "description": "where it came by, such as sms: policies may name channels",
            }
        ),
    ] = None


class BatchRequest(BaseModel):
    """A list of messages. Each is judged by itself: one that cannot be read never fails the others."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"messages": [{"text": _EXAMPLE, "channel": "sms"}, {"text": "ประชุมพรุ่งนี้เก้าโมงนะครับ"}]}]
        }
    )

    messages: Annotated[
        list[Any],
        WithJsonSchema(
            {
                "type": "array",
                "items": {"$ref": "#/components/schemas/ScanRequest"},
                "description": "each like the request of a single scan",
            }
        ),
    ]


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


class Limits(BaseModel):
    """What one request may hold."""

    max_text_length: int = Field(description="code points of a message")
    max_batch: int = Field(description="messages of a batch")
    max_batch_explained: int = Field(description="messages of a batch with explain=true")
    max_batch_characters: int = Field(description="code points of all messages of a batch")
    max_body_bytes: int = Field(description="bytes of a request, uploads apart")
    max_upload_bytes: int = Field(description="bytes of an uploaded dump")
    deadline_seconds: float = Field(description="seconds within which a verdict is given, or 504")


class ModelResponse(BaseModel):
    """The model and the policy that answer, and what they may be sent."""

    name: str
    model_version: str = Field(description="name and digest of the bundle, as in the header X-Ruthan-Model")
    labels: list[str]
    policy: str
    policy_version: str = Field(description="name and digest of the policy, as in the header X-Ruthan-Policy")
    window_tokens: int
    licence: str
    attribution: str
    metrics: dict[str, Any] = Field(description="figures measured when the model was made")
    limits: Limits


class MessageKind(BaseModel):
    """A kind of benign message."""

    id: str
    english: str
    thai: str
    definition: str


class MessageClass(BaseModel):
    """A class of messages."""

    id: str
    english: str
    thai: str
    definition: str
    severity: Literal["none", "low", "medium", "high", "critical"]
    kinds: list[MessageKind] = Field(description="of benign messages; otherwise empty")


class TaxonomyResponse(BaseModel):
    """All classes: when two fit a message, the first is its label."""

    version: int
    classes: list[MessageClass]


class Exchange(BaseModel):
    """The bundle and the policy to go over to; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"model": "ruthan-e5s"}]})

    model: str | None = Field(None, max_length=100, description="name of a folder in the folder of models")
    policy: str | None = Field(
        None, max_length=100, description="name of a file in the folder of policies, without .yaml"
    )


class Exchanged(BaseModel):
    """What answers now. Other workers and replicas follow within seconds."""

    model_version: str
    policy_version: str


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"]
    model: str


class Readiness(BaseModel):
    """Whether requests should be sent here."""

    status: Literal["ready", "stopping"]
    database: Literal["ok", "unreachable"] = Field(
        description="scanning goes on without one; feedback, jobs and new keys wait for it"
    )
