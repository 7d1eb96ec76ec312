"""Why runs fail: the public codes of failed runs, by what helps against them (contract, 3.3). The texts are ours."""

from __future__ import annotations

import random
from typing import Literal

ErrorFamily = Literal["retry_now", "retry_later", "change_input", "never", "documented", "moderation"]
"""What helps; `documented` are the four lower-case codes of FLORA's reference, `moderation` a refusal in disguise."""

FAMILIES: dict[ErrorFamily, dict[str, str]] = {
    "retry_now": {
        "GENERATION_PROVIDER_TIMEOUT": "The provider did not respond in time.",
        "GPU_PROVIDER_ERROR": "The GPU provider returned an error.",
        "GENERATION_GENERIC_ERROR": "Something went wrong during generation.",
        "SERVER_ERROR": "Internal server error.",
        "GENERATION_PREGENERATION_FAILED": "Preparing the generation failed.",
        "GENERATION_POSTGENERATION_FAILED": "Processing the result failed.",
        "GENERATION_MAP_AFTER_REQUEST_FAILED": "The provider's response could not be mapped.",
        "GENERATION_FAILED_TO_START": "The generation could not be started.",
        "GENERATION_FAILED_TO_UPLOAD": "The result could not be uploaded.",
        "GENERATION_FAILED_TO_UPDATE": "The generation could not be updated.",
        "GENERATION_FAILED_TO_GET": "The generation could not be read.",
    },
    "retry_later": {
        "GENERATION_DOWNSTREAM_SERVICE_ERROR": "A downstream service is unavailable.",
        "GENERATION_INVALID_PROVIDER_RESPONSE": "The provider returned an invalid response.",
        "GENERATION_NO_RESULT": "The provider returned no result.",
        "GENERATION_MODAL_POLL_ERROR": "Polling the provider failed.",
        "GENERATION_PROVIDER_FAILED_TO_GET_STATUS": "The provider did not return a status.",
        "GENERATION_QUEUE_TOO_LARGE": "The queue is full. Please try again later.",
        "GENERATION_QUEUE_NOT_MOVING": "The queue is not moving. Please try again later.",
        "GENERATION_CIRCUIT_BREAKER_OPEN": "This model is temporarily disabled after repeated errors.",
        "AUDIO_GENERATION_ERROR": "Audio generation failed.",
    },
    "change_input": {
        "GENERATION_PROMPT_MODERATED": "The prompt was flagged by the content moderation.",
        "LLM_REFUSAL": "The model refused to answer this prompt.",
        "GENERATION_INPUT_VALIDATION": "An input is invalid.",
        "GENERATION_INVALID_PARAMS": "A parameter is invalid for this model.",
        "GENERATION_INVALID_URL": "An input URL is invalid.",
        "GENERATION_ENDPOINT_NOT_FOUND": "The model's endpoint was not found.",
        "GENERATION_MAP_BEFORE_REQUEST_FAILED": "The inputs could not be mapped to the provider's request.",
        "GENERATION_PROVIDER_NOT_SUPPORTED": "The provider is not supported.",
    },
    "never": {
        "BILLING_NOT_ENOUGH_CREDITS": "Not enough credits.",
        "BILLING_WOULD_EXCEED_LIMIT": "This generation would exceed the spending limit.",
        "BILLING_CREDITS_LIMIT_EXCEEDED": "The credit limit is exceeded.",
        "BILLING_FAILED_TO_RESERVE_CREDITS": "The credits could not be reserved.",
        "GENERATION_NOT_PAID": "The generation was not paid for.",
        "GENERATION_CANCELLED": "The generation was cancelled.",
        "ACCESS_DENIED": "You have no access to this model.",
        "VIDEO_ENTITLEMENT_REQUIRED": "Your plan does not include video generation.",
    },
    "documented": {
        "model_timeout": "The model did not finish in time.",
        "safety_blocked": "The request was blocked by a safety filter.",
        "input_unreachable": "An input URL could not be fetched.",
        "internal_error": "An internal error occurred.",
    },
    "moderation": {
        # The trap: codes that elsewhere mean "retry".
        "GPU_PROVIDER_ERROR": "The request was rejected by the provider's safety system: content policy violation.",
    },
}


def choose_error(family: ErrorFamily, seed: str) -> tuple[str, str]:
    """Return a code of the family with its message; the same for the same seed."""
    return random.Random(f"{seed}/error").choice(list(FAMILIES[family].items()))  # noqa: S311 - reproducible on purpose
