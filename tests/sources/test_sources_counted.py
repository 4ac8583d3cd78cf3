"""A file with random access that counts what is read of it."""

import io

import pytest

from asyncimport.sources.counted import Counted


def test_each_byte_that_is_read_counts_each_time_and_the_file_is_let_go_once() -> None:
    gone: list[bool] = []
    file = Counted(io.BytesIO(b"0123456789"), 10, lambda: gone.append(True))
    assert (file.start(3), file.tell(), file.end(4), file.end(40)) == (b"012", 3, b"6789", b"0123456789")
    assert file.bytes_read == 17
    assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
    file.close()
    file.close()
    assert (file.closed, file.bytes_read, gone) == (True, 17, [True])


@pytest.mark.parametrize(("offset", "whence", "at"), [(2, 0, 2), (2, 1, 5), (-2, 2, 6)])
def test_it_is_sought_within_its_part_whoever_else_moves_the_file(offset: int, whence: int, at: int) -> None:
    under = io.BytesIO(b"--01234567")
    file = Counted(under, 8, under.close, 2)
    assert file.read(3) == b"012"
    under.seek(0)
    assert (file.seek(offset, whence), file.tell(), file.read(1)) == (at, at, b"%d" % at)
