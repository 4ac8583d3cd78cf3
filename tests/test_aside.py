import asyncio
import contextvars
import threading

import canary

from asyncimport.aside import aside

PERSON = contextvars.ContextVar("PERSON", default="nobody")


async def test_what_a_call_returns_is_made_in_a_daemon_thread_of_its_name_in_a_copy_of_the_context() -> None:
    def look() -> tuple[str, bool, str]:
        seen = PERSON.get()
        PERSON.set("changed in there")
        return threading.current_thread().name, threading.current_thread().daemon, seen

    PERSON.set("the caller's")
    assert await aside(look, "asyncimport-test") == ("asyncimport-test", True, "the caller's")
    assert PERSON.get() == "the caller's"


async def test_what_a_call_raises_is_raised_where_it_is_waited_for() -> None:
    def fail() -> None:
        raise LookupError("gone")

    with canary.raises(LookupError, match="gone"):
        await aside(fail, "asyncimport-test")


async def test_whoever_waits_is_cancelled_at_once_and_the_thread_is_left_behind() -> None:
    going, done = threading.Event(), threading.Event()

    def block() -> None:
        going.wait(30)
        done.set()

    waiting = asyncio.create_task(aside(block, "asyncimport-test"))
    await asyncio.sleep(0)
    waiting.cancel()
    with canary.raises(asyncio.CancelledError):
        await waiting
    assert not done.is_set()
    going.set()
    assert done.wait(30)


def test_a_thread_that_ends_after_its_loop_is_closed_disturbs_nobody() -> None:
    going = threading.Event()
    threads: list[threading.Thread] = []

    def block() -> None:
        threads.append(threading.current_thread())
        going.wait(30)

    async def leave() -> None:
        waiting = asyncio.create_task(aside(block, "asyncimport-test"))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(leave())
    going.set()
    threads[0].join(30)  # an exception in a thread is a warning, and warnings are errors
    assert not threads[0].is_alive()
