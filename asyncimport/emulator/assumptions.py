"""What no document says about the platform, as switches: a client has to live with either position of each."""

from attrs import field, frozen, validators


@frozen(kw_only=True)
class Assumptions:
    """How the emulator behaves where PLATFORM.md is silent (?) or where its word is inferred (I).

    Attributes:
        one_token_at_a_time: ? whether a new token ends the one before it.
        token_life_s: E 7200; a setting so that a test sees a token end.
        token_expire: ? what the token answer says in `expire`; the documented example says 0. `None` leaves it out.
        auth_status: ? the HTTP status of the codes 100100 and 100200.
        refusal_status: ? the HTTP status of a refused batch.
        refusal_code: ? the envelope code of a refused batch.
        throttle_code: ? the envelope code beside the documented message of a throttled request.
        deduplicate_uuid: ? whether an event whose uuid is known already is left out.
        one_bad_record_fails_batch: ? when false, bad records are left out and the rest of the batch is committed.
        exact_needs_identity: I exact matching wants the field filled that `identityType` names.
        old_addresses: E "being retired": whether the older addresses still answer.
        max_body_bytes: ? the largest body taken, else 413; `None` takes any.
    """

    one_token_at_a_time: bool = False
    token_life_s: float = field(default=7200.0, validator=validators.gt(0))
    token_expire: int | str | None = 0
    auth_status: int = 401
    refusal_status: int = 200
    refusal_code: str = "400"
    throttle_code: str = "429"
    deduplicate_uuid: bool = False
    one_bad_record_fails_batch: bool = True
    exact_needs_identity: bool = True
    old_addresses: bool = True
    max_body_bytes: int | None = None
