"""What a person says to the coach, and inputs to try.

Owns what is valid. A session begins with its first message; the team it is of is said
then, and stays.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_MESSAGE_CHARS = 2_000

Role = Literal["team lead", "product manager", "engineering manager", "founder"]
Department = Literal["product", "engineering", "sales", "customer support", "people"]

SessionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
MessageText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_MESSAGE_CHARS)
]


class Team(BaseModel):
    """Whose objectives these are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role = Field("team lead", title="Your role")
    department: Department = Field("product", title="Department")
    team_size: int = Field(8, ge=1, le=500, title="People in the team")


class MessageInputs(Team):
    """A message to the coach. A session that is there already keeps the team it began with."""

    session_id: SessionId = Field(title="Session")
    message: MessageText = Field(title="Message")

    @property
    def team(self) -> Team:
        """The team alone."""
        return Team.model_validate({name: getattr(self, name) for name in Team.model_fields})


SAMPLES: dict[str, dict[str, Any]] = {
    "begin": {
        "session_id": "sample",
        "message": "We lose too many customers in their first month. Where do we start?",
    },
    "objective": {
        "session_id": "sample",
        "message": "Objective: New customers find value in their first week by the end of Q3",
    },
    "key result": {
        "session_id": "sample",
        "message": "KR: Raise customers active after a week from 42 % to 60 % by 30 September",
    },
}
