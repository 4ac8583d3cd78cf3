"""From what was asked for, or from what a journal keeps of that, to a job: a source that comes once is never read twice."""

from __future__ import annotations

import os
from pathlib import Path

from asyncimport.cli.choices import OutputOptions, SpoolChoices
from asyncimport.cli.connecting import ConnectionOptions
from asyncimport.cli.gone import Gone
from asyncimport.cli.importing import Job, run_import
from asyncimport.cli.order import RESOURCE_OF, Order, order_of, with_connection
from asyncimport.cli.output import tell
from asyncimport.cli.replaying import config_of
from asyncimport.errors import JournalError
from asyncimport.journal.inspection import read_status
from asyncimport.journal.schema import is_there
from asyncimport.journal.status import JournalStatus
from asyncimport.resources import BY_NAME
from asyncimport.sources.input import is_stream


def begin(order: Order, output: OutputOptions) -> int:
    """Import what is asked for, and return the exit code; with a journal that was begun, go on with it.

    Raises:
        AsyncImportError: what ended the import, or kept it from beginning.
    """
    order = order.with_mapping()
    status = _begun_from_a_stream(order)
    if status is None:
        resource, source, config = order.opened()
        return run_import(Job(order=order, resource=resource, source=source, config=config, output=output))
    order.check_same_input(status)
    resource, gone = RESOURCE_OF[order.command], Gone(status)
    code = run_import(Job(order=order, resource=resource, source=gone, config=order.config(), output=output))
    tell(
        f"warning: {gone.name} was not read: the journal {status.path} is of an import that was begun before; "
        "to import other records, name another journal"
    )
    return code


def _begun_from_a_stream(order: Order) -> JournalStatus | None:
    """The journal's status where a stream is asked for, or was read, by the command that began it."""
    run = order.run
    if not (isinstance(run, SpoolChoices) and run.spool and run.journal and is_there(os.fspath(run.journal))):
        return None
    status = _whole(run.journal)
    is_same_file = order.memo()["file"] == status.file
    is_of_stream = is_stream(order.given.file) or (status.is_stream and is_same_file)
    return status if status.is_begun and status.is_commands and is_of_stream else None


def resume(journal: Path, connection: ConnectionOptions, output: OutputOptions) -> int:
    """Go on with an import as its journal knows it, and return the exit code.

    Raises:
        JournalError: there is none, it is damaged, or it was begun by somebody else.
        AsyncImportError: as `begin`.
    """
    status = _whole(journal)
    order = with_connection(order_of(status), connection, status)
    if status.is_finished or (status.is_stream and status.is_begun):
        resource = BY_NAME[status.resource]
        config = config_of(resource, status.config, status.path)
        return run_import(Job(order=order, resource=resource, source=Gone(status), config=config, output=output))
    if status.is_stream:
        raise JournalError(
            f"the journal {status.path} has nothing of {status.source_name} yet, which is not read by resume: "
            "give the same command again"
        )
    if order.mapping is not None:
        order.mapping.check_unchanged(status.path)
    resource, source, config = order.opened()
    return run_import(Job(order=order, resource=resource, source=source, config=config, output=output))


def _whole(journal: Path) -> JournalStatus:
    status = read_status(os.fspath(journal))
    if status.damage:
        raise JournalError(
            f"the journal {status.path} is damaged ({status.damage[0]}): it is not resumed. "
            "See `asyncimport status` for what can be read"
        )
    return status
