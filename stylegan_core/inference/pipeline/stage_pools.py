"""Thread pools of the stages, shared by all chunks of a job, and how many frames are worth having in them."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from stylegan_core.inference.job.frame_task import FrameTask
from stylegan_core.inference.job.report import ChunkTally
from stylegan_core.inference.network.backends.compile import MOST_TOGETHER_PX
from stylegan_core.inference.network.cpu_pool import cores
from stylegan_core.inference.pipeline.decode_stage import DecodeStage
from stylegan_core.inference.pipeline.encode_stage import EncodeStage
from stylegan_core.inference.pipeline.memory_budget import MemoryBudget
from stylegan_core.inference.pipeline.render_stage import FrameOutputs, RenderStage
from stylegan_core.inference.reading.decoded_frame import DecodedFrame
from stylegan_core.inference.render.renderer import FrameRenderer

THREADS = 2
"""Of the decode pool, and of the encode pool."""
_MOST_FRAMES = 24


class StagePools:
    """One thread pool for each stage."""

    def __init__(
        self,
        decode: DecodeStage,
        render: RenderStage,
        encode: EncodeStage,
        memory: MemoryBudget,
        renderer: FrameRenderer,
    ) -> None:
        """Starts the pools.

        Args:
            decode: reads frames.
            render: runs the network.
            encode: writes frames.
            memory: of the frames in flight.
            renderer: says how many batches are rendered at the same time, and how large they are.
        """
        self._decode, self._render, self._encode, self._renderer = decode, render, encode, renderer
        self.memory, self.batches_at_once = memory, renderer.batches_at_once
        self._decoders = ThreadPoolExecutor(THREADS, thread_name_prefix="decode")
        self._renderers = ThreadPoolExecutor(self.batches_at_once, thread_name_prefix="render")
        self._encoders = ThreadPoolExecutor(THREADS, thread_name_prefix="encode")
        self._queueing = threading.Lock()

    def decode(self, task: FrameTask, tally: ChunkTally) -> Future[DecodedFrame | None]:
        """Queues a frame to be decoded, see ``DecodeStage.run``."""
        with self._queueing:  # tickets must have the order of the pool's queue
            return self._decoders.submit(self._decode.run, task, self.memory.ticket(), tally)

    def render(self, batch: list[DecodedFrame], tally: ChunkTally) -> Future[list[FrameOutputs | None]]:
        """Queues frames for the network, see ``RenderStage.run``."""
        return self._renderers.submit(self._render.run, batch, tally)

    def encode(self, frame: DecodedFrame, outputs: FrameOutputs, tally: ChunkTally) -> Future[Future[None] | None]:
        """Queues a frame to be written, see ``EncodeStage.run``."""
        return self._encoders.submit(self._encode.run, frame, outputs, tally)

    def batch_size(self, frame: DecodedFrame) -> int:
        """How many frames of this size are rendered together."""
        return self._renderer.batch_size(frame.height_px, frame.width_px)

    def most_frames_in_flight(self) -> int:
        """Frames of one chunk that keep all pools busy; ``MemoryBudget`` decides how many of them may be decoded."""
        latest_px = self._decode.latest_px
        together = max(cores(), MOST_TOGETHER_PX // latest_px) if latest_px else 1
        return min(_MOST_FRAMES, 2 * THREADS + max(THREADS, 2 * together))

    def close(self) -> None:
        """Ends the threads after the frames that they are at work on."""
        for pool in (self._decoders, self._renderers, self._encoders):
            pool.shutdown(wait=True, cancel_futures=True)
