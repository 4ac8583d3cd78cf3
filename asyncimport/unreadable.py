"""What a source yields in place of a record that it could not read.

A source of a file meets lines that are no record: broken JSON, a row with a cell too many. Raising would end the
iteration, so it yields this value at the record's position instead, and admission rejects that one record by its rule.
"""

from __future__ import annotations

from attrs import field, frozen


@frozen(kw_only=True)
class Unreadable:
    """A record that could not be read: `rule` is a sentence about it and never holds any of its content.

    The sentence reads "what is wrong: particulars", as in "is no JSON: unexpected end of data at column 17". `text` is
    the line or lines themselves, for a file of rejects and for nothing else: no message, log or repr may show it.
    """

    rule: str
    #: What of its source it is: a line, or the row of a table.
    unit: str = field(default="line", repr=False)
    #: Without the last line end, undecodable bytes as in "\xff"; None when it is longer than 64 KiB or was never held.
    text: str | None = field(default=None, repr=False, eq=False)

    @property
    def reason(self) -> str:
        """The rule without its particulars, the same for every record with this fault: fit for counting."""
        return self.rule.partition(":")[0]
