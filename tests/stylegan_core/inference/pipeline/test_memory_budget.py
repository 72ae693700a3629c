"""The memory budget: bounded for frames of any sizes, in order, without deadlock."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from stylegan_core.inference.pipeline.memory_budget import MemoryBudget


def never() -> bool:
    return False


def test_large_frames_after_small_ones_exceed_the_budget_by_at_most_one_for_each_decoder() -> None:
    """Sizes are known after decoding: each decoder may exceed the budget by one frame, queued frames may not."""
    budget, most, readers = MemoryBudget(100), 0, 2
    sizes = [1] * 30 + [90] * 12
    held: dict[int, int] = {}
    lock = threading.Lock()

    def decode(index: int, ticket: int) -> int:
        nonlocal most
        budget.acquire(ticket, stopped=never)
        with lock:
            held[index] = sizes[index]
            most = max(most, sum(held.values()))
        budget.hold(str(index), sizes[index])
        return index

    with ThreadPoolExecutor(readers) as pool:
        futures = [pool.submit(decode, index, budget.ticket()) for index in range(len(sizes))]
        for future in futures:
            index = future.result(timeout=60)
            time.sleep(0.002)  # the network
            with lock:
                del held[index]
            budget.release(str(index))
    assert 90 <= most <= 100 + readers * 90


def test_memory_is_granted_in_order() -> None:
    budget, order = MemoryBudget(10), list[int]()
    tickets = [budget.ticket() for _ in range(20)]

    def come(ticket: int) -> None:
        time.sleep(random.random() / 100)
        budget.acquire(ticket, stopped=never)
        order.append(ticket)
        budget.hold(str(ticket), 10)
        budget.release(str(ticket))

    threads = [threading.Thread(target=come, args=(ticket,)) for ticket in tickets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert order == tickets


def test_a_stopped_frame_does_not_wait_and_takes_no_memory() -> None:
    budget, waits = MemoryBudget(10), threading.Event()
    first, second, third = (budget.ticket() for _ in range(3))

    def never_while_it_waits() -> bool:
        waits.set()
        return False

    budget.acquire(first, stopped=never)
    budget.hold("first", 50)  # alone it may be too large
    asked: list[bool] = []
    budget.acquire(second, stopped=lambda: asked.append(True) or True)
    assert asked, "it got memory that the first frame holds"
    budget.cancel()
    last = threading.Thread(target=budget.acquire, args=(third,), kwargs={"stopped": never_while_it_waits}, daemon=True)
    last.start()
    assert waits.wait(timeout=30), "it got memory that the first frame holds"
    assert last.is_alive()
    budget.release("first")
    last.join(timeout=30)
    assert not last.is_alive(), "what the stopped frame or the first one held was not returned"
    budget.cancel()
