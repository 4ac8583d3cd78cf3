"""Shapes of JSON values: what a value must look like, and where it does not.

A check is a function from a value to its first problem, or `None`. A problem names the place and the rule; it never
holds the value, because values are people's data.
"""

from collections.abc import Callable, Mapping
from math import isfinite

from attrs import frozen

Json = dict[str, object]

# A key is the client's word, so it is shown escaped and short: a person's data in a key's place stays out of the logs.
_SHOWN_KEY_CHARACTERS = 40


@frozen(kw_only=True)
class Problem:
    """The first rule a value breaks: `path` from the value down, such as `.customFields[0].configId`."""

    reason: str
    path: str = ""

    def under(self, parent: str) -> "Problem":
        """Give the same problem seen from the value that holds this one at `parent`."""
        return Problem(reason=self.reason, path=parent + self.path)

    def __str__(self) -> str:
        return f"{self.path.removeprefix('.') or 'the body'} {self.reason}"


Check = Callable[[object], Problem | None]


def kind(value: object) -> str:
    """Name the JSON type of a value."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array"}
    return names.get(type(value), "an object")


def text(value: object) -> Problem | None:
    """Any string."""
    return None if type(value) is str else Problem(reason=f"must be a string, not {kind(value)}")


def filled(value: object) -> Problem | None:
    """A string that is not empty: what "required" means for a string here (I)."""
    return text(value) or (None if value else Problem(reason="must not be empty"))


def boolean(value: object) -> Problem | None:
    """JSON true or false."""
    return None if type(value) is bool else Problem(reason=f"must be a boolean, not {kind(value)}")


def whole(*, low: int, high: int) -> Check:
    """Build the check of an integer within bounds; JSON `true` and `1.0` are none."""

    def check(value: object) -> Problem | None:
        if type(value) is not int:
            return Problem(reason=f"must be an integer, not {kind(value)}")
        return None if low <= value <= high else Problem(reason=f"must lie between {low} and {high}")

    return check


int64 = whole(low=-(2**63), high=2**63 - 1)


def short(characters: int) -> Check:
    """Build the check of a string of at most so many characters."""

    def check(value: object) -> Problem | None:
        if type(value) is not str:
            return text(value)
        size = len(value)
        return (
            None if size <= characters else Problem(reason=f"has {size} characters, at most {characters} are allowed")
        )

    return check


def one_of(*allowed: str | int) -> Check:
    """Build the check of an enumerated value; the type counts, so `true` is not 1."""
    known = {(type(value), value) for value in allowed}
    reason = f"must be one of {', '.join(str(value) for value in allowed)}"

    def check(value: object) -> Problem | None:
        if type(value) in {str, int} and (type(value), value) in known:
            return None
        return Problem(reason=reason)

    return check


def array(item: Check, *, at_least: int = 0) -> Check:
    """Build the check of a list whose items all pass `item`."""

    def check(value: object) -> Problem | None:
        if not isinstance(value, list):
            return Problem(reason=f"must be an array, not {kind(value)}")
        if len(value) < at_least:
            return Problem(reason=f"has {len(value)} items, at least {at_least} must be there")
        for index, entry in enumerate(value):
            problem = item(entry)
            if problem is not None:
                return problem.under(f"[{index}]")
        return None

    return check


@frozen(kw_only=True)
class Shape:
    """The check of an object: its fields by wire name, those that must be there, and the rules between fields."""

    fields: Mapping[str, Check]
    required: tuple[str, ...] = ()
    between: Callable[[Json], Problem | None] | None = None

    def __call__(self, value: object) -> Problem | None:
        if not isinstance(value, dict):
            return Problem(reason=f"must be an object, not {kind(value)}")
        for name, entry in value.items():
            check = self.fields.get(name)
            if check is None:
                return Problem(path=f".{shown(name)}", reason="is not documented")
            problem = check(entry)
            if problem is not None:
                return problem.under(f".{name}")
        for name in self.required:
            if name not in value:
                return Problem(path=f".{name}", reason="is required")
        return None if self.between is None else self.between(value)


def shown(name: str) -> str:
    """Give a key as it may stand in a message: escaped, and cut at 40 characters."""
    return ascii(name[:_SHOWN_KEY_CHARACTERS])[1:-1]


def free(value: object, *, in_list: bool = False) -> Problem | None:
    """Any JSON value of finite 64-bit numbers, without `null` outside lists: the inside of a map."""
    if value is None:
        return None if in_list else Problem(reason="must not be null")
    if isinstance(value, float):
        return None if isfinite(value) else Problem(reason="must be a finite number")
    if isinstance(value, int):
        return None if type(value) is bool else int64(value)
    if isinstance(value, list):
        places = ((f"[{index}]", free(entry, in_list=True)) for index, entry in enumerate(value))
    elif isinstance(value, dict):
        places = ((f".{shown(name)}", free(entry)) for name, entry in value.items())
    else:
        return None
    return next((problem.under(place) for place, problem in places if problem is not None), None)


def free_list(value: object) -> Problem | None:
    """A list whose items are its owner's own."""
    return free(value) if isinstance(value, list) else Problem(reason=f"must be an array, not {kind(value)}")


def free_map(value: object) -> Problem | None:
    """An object whose keys are its owner's own."""
    return free(value) if isinstance(value, dict) else Problem(reason=f"must be an object, not {kind(value)}")
