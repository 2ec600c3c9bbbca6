"""Take what reviewers say of verdicts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import GroupedMetadata
from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from ruthan.taxonomy import BENIGN, default_taxonomy
from serve import problems
from serve.access import Caller, KeyFirst, needs
from serve.problems import Problem
from serve.service import ServiceDep
from serve.storage.feedback import CHANNELS, LANGUAGES, Given, add

router = APIRouter(tags=["feedback"], route_class=KeyFirst)

OTHER = "other"  # kind of a benign message


@dataclass(frozen=True)
class OneOf(GroupedMetadata):
    """Annotates a text that has to be one of these."""

    names: tuple[str, ...]

    def __iter__(self) -> Iterator[Any]:
        yield AfterValidator(self._check)
        yield WithJsonSchema({"type": "string", "enum": list(self.names)})

    def _check(self, value: str) -> str:
        if value not in self.names:
            raise ValueError(f"one of {', '.join(self.names)} is needed")
        return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is needed")
    return value


Label = Annotated[str, OneOf(default_taxonomy().labels)]
KindOfBenign = Annotated[str, OneOf(default_taxonomy().kinds)]
Channel = Annotated[str, OneOf(CHANNELS)]
Language = Annotated[str, OneOf(LANGUAGES)]
# Half an emoji, which phones do send, is a text too.
AnyText = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string"})]


class GivenVerdict(BaseModel):
    """What the service had said; whatever of it is known."""

    model_config = ConfigDict(strict=True)

    risk: float | None = Field(default=None, ge=0, le=1)
    label: Label | None = None
    action: Literal["allow", "review", "block"] | None = None
    model: str | None = Field(default=None, max_length=200)
    policy: str | None = Field(default=None, max_length=200)


class FeedbackRequest(BaseModel):
    """What was wrong, or right, with a verdict. The message is named by its text, the text's digest, or its id."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["text"]}, {"required": ["text_digest"]}, {"required": ["message_id"]}],
            "examples": [
                {
                    "message_id": "6f1d0c9a3b5e7a42",
                    "verdict": {"risk": 0.97, "label": "loan", "action": "block"},
                    "label": "benign",
                    "kind": "transactional",
                    "reviewer": "ผู้ตรวจ-07",
                    "comment": "เป็นข้อความแจ้งเตือนจริงจากธนาคาร",
                },
                {
                    "text": "พัสดุของท่านถูกตีกลับ ชำระค่าส่ง 35 บาทที่ thaipost-track.top",
                    "verdict": {"risk": 0.31, "label": "benign", "action": "allow"},
                    "label": "parcel",
                    "channel": "sms",
                    "lang": "th",
                },
            ],
        }
    )

    message_id: str = Field(
        "", pattern="^[0-9a-f]{16}$", description="first 16 digits of the digest, as in results of jobs"
    )
    text_digest: str = Field(
        "", pattern="^[0-9a-f]{64}$", description="SHA-256 of the text as received, UTF-8, hexadecimal"
    )
    text: AnyText = Field(
        "",
        description="the text; used to find near-duplicates, and kept only where the operator keeps texts",
    )
    verdict: GivenVerdict = Field(default_factory=GivenVerdict)
    label: Label = Field(description="the right class")
    kind: KindOfBenign | None = Field(None, description=f"of a benign message: which kind it is; {OTHER} if left out")
    lang: Language | None = None
    channel: Channel | None = None
    reviewer: str = Field(
        "", max_length=100, description="a name of the caller's own for who says so; a pseudonym will do"
    )
    comment: str | None = Field(None, max_length=1_000, description="kept with numbers, ids, accounts and names hidden")


class FeedbackResponse(BaseModel):
    """The feedback is kept."""

    id: str
    message_id: str
    state: Literal["quarantined"]
    replaced: bool = Field(description="the same reviewer had said something of this message before")
    near: int = Field(
        ge=0, description="other feedback on this message, or on one that differs in numbers and links only"
    )
    conflict: bool = Field(description="some of it names another label")


@router.post(
    "/v1/feedback",
    response_model=FeedbackResponse,
    status_code=201,
    responses={
        200: {"model": FeedbackResponse, "description": "An earlier opinion of the reviewer was replaced"},
        **problems.responses(*problems.ANY, "text-too-long", "storage-unavailable", "storage-full"),
    },
)
async def feedback(
    body: FeedbackRequest, response: Response, service: ServiceDep, caller: Annotated[Caller, needs("feedback")]
) -> FeedbackResponse:
    """Say what a verdict should have been. It is kept in quarantine, and a reviewer's last word on a message counts."""
    settings, sent = service.settings, body.model_fields_set
    if len(body.text) > settings.max_text_length:
        raise Problem("text-too-long", f"send a text of at most {settings.max_text_length:,} characters, or its digest")
    service.access.spend(caller)
    given = Given(
        label=body.label,
        kind=(body.kind or OTHER) if body.label == BENIGN else None,
        text=body.text if "text" in sent else None,
        text_digest=body.text_digest if "text_digest" in sent else None,
        message_id=body.message_id if "message_id" in sent else None,
        verdict=body.verdict.model_dump(exclude_unset=True),
        lang=body.lang,
        channel=body.channel,
        reviewer=body.reviewer,
        comment=body.comment,
    )
    try:
        kept = await service.database.run(lambda session: add(session, given, caller.owner, settings))
    except Problem:
        service.metrics.feedback("refused")
        raise
    service.metrics.feedback("replaced" if kept.replaced else "kept")
    response.status_code = 200 if kept.replaced else 201
    return FeedbackResponse(
        id=kept.row.id,
        message_id=kept.row.message_id,
        state="quarantined",
        replaced=kept.replaced,
        near=kept.near,
        conflict=kept.conflict,
    )
