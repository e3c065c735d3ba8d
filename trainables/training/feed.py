"""Images that do not fit a device: they stay on the host, and their turn brings them there."""

import functools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainables.device_memory import part_bytes, why_fed
from trainables.training.preprocessing import to_device

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


class Feed:
    """Puts images on the device in the order in which they are read, a part at a time.

    Two parts are there: while one is read, a thread gathers the next into pinned memory, from which
    it is copied on a stream of its own. Memory keeps its place, so a captured step can read it.

    Attributes:
        rows: Two parts, uint8 [rows, height, width, 3], on the device.
    """

    def __init__(
        self, shape: Sequence[int], part: int, device: torch.device, *, module: Any = None
    ) -> None:
        """Takes the memory.

        Args:
            shape: Of an image: height, width, channels.
            part: Images in a part.
            device: Where they are fed to.
            module: For tests: what stands for `torch.cuda`, or for `torch.cpu`, whose streams and
                events do nothing.
        """
        module = module or torch.get_device_module(device)
        self.rows = torch.empty(2 * part, *shape, dtype=torch.uint8, device=device)
        pinned = device.type == "cuda"
        self._gathered = torch.empty(part, *shape, dtype=torch.uint8, pin_memory=pinned)
        self._module, self._stream = module, _stream(module.Stream)
        if pinned:  # or the memory could be another's while the last copy is on its way
            self.rows.record_stream(self._stream)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._coming = deque[Future[Any]]()
        self._copied = module.Event()  # when nobody reads the pinned memory any more

    @property
    def part_bytes(self) -> int:
        """What a part takes."""
        return self._gathered.nbytes

    def turns(self, images: int, step: int) -> Tensor:
        """In which rows the images of an order are when their turn comes, int64 [images].

        Args:
            images: In the order.
            step: That are read at a time; only the last time as many as are left, at most one more.
        """
        return torch.arange(images, device=self.rows.device) % (2 * self._part(step))

    def begin(self, images: Images, order: Indices, step: int) -> None:
        """Begins an order; what the device was asked to read before, it has.

        Args:
            images: uint8 [n, height, width, 3], on the host, in memory or mapped.
            order: Indices of images, in the order in which they are read.
            step: As of `turns`.
        """
        self._images, self._order, self._size = images, order, self._part(step)
        self._coming.clear()
        self._sent = self._there = 0
        self._send()

    def reach(self, end: int) -> None:
        """Has images be there for what is asked of the device from now on.

        Args:
            end: Up to this place in the order. Of a part before the one that this is in, only the
                last step of all may still be read.
        """
        while self._there * self._size < end:
            self._send()
            self._coming.popleft().result().wait()  # the device waits, once the thread has asked it
            self._there += 1

    def batches(self, images: Images, order: Indices, size: int) -> Iterator[Tensor]:
        """Images on the device, so many at a time; see `begin`.

        Returns:
            Of each batch uint8 [batch, height, width, 3], there until the next one is asked for.
        """
        self.begin(images, order, size)
        for start in range(0, len(order), size):
            end = min(start + size, len(order))
            self.reach(end)
            row = start % (2 * self._size)
            yield self.rows[row : row + end - start]

    def _part(self, step: int) -> int:
        """Images in a part of whole steps."""
        return len(self._gathered) // step * step

    def _send(self) -> None:
        """Has the next part brought to where the last but one is, which was asked for."""
        first = self._sent * self._size
        order = self._order[first : first + self._size]
        if len(order):
            read = self._module.Event()
            read.record(self._module.current_stream())
            row = self._sent % 2 * self._size
            rows = self.rows[row : row + len(order)]
            self._coming.append(self._thread.submit(self._bring, self._images, order, rows, read))
        self._sent += 1

    def _bring(self, images: Images, order: Indices, rows: Tensor, read: Any) -> Any:
        """Gathers and copies a part; an event for when it is there. In the thread."""
        self._copied.synchronize()
        gathered = self._gathered[: len(order)]
        np.take(images, order, axis=0, out=gathered.numpy(), mode="clip")  # the only unbuffered one
        with self._module.stream(self._stream):
            self._stream.wait_event(read)
            rows.copy_(gathered, non_blocking=True)
            self._copied = self._module.Event()
            self._copied.record(self._stream)
        return self._copied


class Supply:
    """The images of a trial: all on its device, or fed where they would take too much of it.

    Attributes:
        feed: What feeds the images that it trains on; None where they are all there.
    """

    def __init__(
        self, images: Images, device: torch.device, *, limit: int | None, largest: int
    ) -> None:
        """Decides which.

        Args:
            images: All that the trial trains and validates on, uint8 [n, height, width, 3].
            device: Where they are needed.
            limit: Bytes that images may take there; None: all that they need.
            largest: Images that are read at a time, at most.
        """
        self._device, self._limit, self._largest = device, limit, largest
        self._there, self.feed, self._note = images, self._feed_of(images), ""
        if self.feed is not None and limit is not None:
            self._note = why_fed(images.nbytes, limit, self.feed.part_bytes)

    def take_note(self) -> dict[str, str]:
        """Why images are fed, once, as the column `images_fed`; empty where they are not."""
        note, self._note = self._note, ""
        return {"images_fed": note} if note else {}

    def batches(self, images: Images, order: Indices, size: int) -> Iterator[Tensor]:
        """Any images on the device, so many at a time; see `Feed.batches`."""
        feed = self.feed or self._feed_of(images, beside=self._there)
        if feed is not None:
            yield from feed.batches(images, order, size)
        elif len(order):
            there = to_device(images, self._device)
            for part in torch.split(to_device(order, self._device), size):
                yield there.index_select(0, part)

    def _feed_of(self, images: Images, beside: Images | None = None) -> Feed | None:
        """Feeds images that are too large beside others that are there."""
        others = 0 if beside is None or beside is images else beside.nbytes
        if self._limit is None or others + images.nbytes <= self._limit:
            return None
        part = max(self._largest, part_bytes(self._limit) // max(1, images[:1].nbytes))
        return Feed(images.shape[1:], part, self._device)


@functools.cache
def _stream(make: Callable[[], Any]) -> Any:
    """The stream on which this process copies; see `graphs._stream`, which is another one."""
    return make()
