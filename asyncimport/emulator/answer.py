"""What the platform says: the documented envelope and its known failures."""

from collections.abc import Mapping

import orjson
from attrs import field, frozen

from asyncimport.emulator.assumptions import Assumptions

JSON_TYPE = "application/json;charset=UTF-8"
HTML_TYPE = "text/html;charset=UTF-8"

THROTTLE_MESSAGE = "操作频繁,请稍后重试"
WRONG_APP, WRONG_TOKEN = "100100", "100200"


@frozen(kw_only=True)
class Answer:
    """One HTTP answer, before it is written; `body` is what stands on the wire."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(factory=dict)


def envelope(*, code: str, error_code: str, msg: str, status: int = 200, **data: object) -> Answer:
    """Build an answer in the documented envelope; `data=` adds that field, whatever its value."""
    body = {"code": code, "errorCode": error_code, "msg": msg, **data}
    return Answer(status=status, body=orjson.dumps(body))


def imported(batch_id: int | None) -> Answer:
    """The documented success of an import; `None` where the resource answers without `data`."""
    data = {} if batch_id is None else {"data": batch_id}
    return envelope(code="200", error_code="SUCCESS", msg="ok", **data)


def token_granted(token: str, refresh_token: str, assumptions: Assumptions) -> Answer:
    """The documented success of the token call, whose errorCode is "0"."""
    data: dict[str, object] = {"orgAccessToken": token, "orgRefreshToken": refresh_token}
    if assumptions.token_expire is not None:
        data["expire"] = assumptions.token_expire
    return envelope(code="200", error_code="0", msg="ok", data=data)


def wrong_token(assumptions: Assumptions) -> Answer:
    """The known failure 100200."""
    return envelope(code=WRONG_TOKEN, error_code="TOKEN_ERROR", msg="token error", status=assumptions.auth_status)


def wrong_app(assumptions: Assumptions) -> Answer:
    """The known failure 100100; its errorCode is ?."""
    return envelope(code=WRONG_APP, error_code="APP_ERROR", msg="appid or secret error", status=assumptions.auth_status)


def refused(reason: str, assumptions: Assumptions) -> Answer:
    """A batch refused for its content; code, errorCode and HTTP status are ?."""
    return envelope(
        code=assumptions.refusal_code, error_code="PARAM_ERROR", msg=reason, status=assumptions.refusal_status
    )


def throttled(assumptions: Assumptions, *, status: int, headers: Mapping[str, str]) -> Answer:
    """The documented message over a rate limit; its code is ?."""
    said = envelope(code=assumptions.throttle_code, error_code="FREQUENT", msg=THROTTLE_MESSAGE, status=status)
    return Answer(status=status, body=said.body, headers=headers)


def failed(status: int, *, headers: Mapping[str, str] | None = None) -> Answer:
    """An HTTP failure whose envelope repeats the status: what a gateway of the platform might say (?)."""
    said = envelope(code=str(status), error_code="ERROR", msg=f"status {status}", status=status)
    return Answer(status=status, body=said.body, headers=headers or {})
