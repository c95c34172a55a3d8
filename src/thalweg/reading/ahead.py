"""One background thread that makes what an iterator yields before it is asked for."""

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class _Raised(NamedTuple):
    """What the thread's work ended with."""

    error: BaseException


def ahead(make: Callable[[], Generator[T, None, None]], depth: int) -> Generator[T, None, None]:
    """What ``make()`` yields, at most ``depth`` items ahead of the consumer; 0: in the consumer's thread.

    The thread begins with the first item asked for. What it raises is raised to the consumer, in order.
    When the consumer stops early (``close``), the thread ends after the item it is making; Ctrl-C does not wait for
    that, which a silent pipe may never give.
    """
    if not depth:
        yield from make()
        return
    made: SimpleQueue[T | _Raised | None] = SimpleQueue()  # None: there is no more
    room = threading.Semaphore(depth)
    stopped = threading.Event()

    def work() -> None:
        try:
            with closing(make()) as items:
                while room.acquire() and not stopped.is_set():
                    item = next(items, None)
                    if item is None:
                        break
                    made.put(item)
                    del item  # the consumer alone holds it now
            made.put(None)
        except BaseException as error:
            made.put(_Raised(error))

    thread = threading.Thread(target=work, name="thalweg-reading", daemon=True)
    thread.start()
    waits = True
    try:
        while True:
            item = made.get()
            if item is None:
                return
            if isinstance(item, _Raised):
                raise item.error
            room.release()
            yield item
            del item
    except KeyboardInterrupt:
        waits = False
        raise
    finally:
        stopped.set()
        room.release()
        if waits and threading.current_thread() is not thread:  # the collector may close us from anywhere
            thread.join()
