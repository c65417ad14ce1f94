"""As much of an answer in OpenAI's chat completions protocol as is used here, checked."""

from pydantic import BaseModel
from pydantic import Field


class ChatMessage(BaseModel):
    """Either what the model says or why it does not."""

    content: str | None = None
    refusal: str | None = None


class Choice(BaseModel):
    """One of the answers to a request, and how it ended."""

    message: ChatMessage
    finish_reason: str | None = None


class Usage(BaseModel):
    """Counts of tokens; None where the server does not say."""

    prompt_tokens: int | None = Field(default=None, ge=0)
    completion_tokens: int | None = Field(default=None, ge=0)


class Completion(BaseModel):
    """What comes back for a request."""

    choices: list[Choice] = Field(min_length=1)
    usage: Usage | None = None
