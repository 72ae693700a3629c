"""Tiny movies for tests, made by FFmpeg's encoders alone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from stylegan_core.frames.base.frame_planes import bits_of
from stylegan_core.frames.movies.planes import video_frame

COUNT, WIDTH, HEIGHT = 10, 64, 48


def random_planes(pix_fmt: str, seed: int, width: int = WIDTH, height: int = HEIGHT):
    """Smooth noise over all legal codes, of a planar format."""
    rng, layout = np.random.default_rng(seed), av.VideoFrame(width, height, pix_fmt)
    bits = bits_of(pix_fmt)
    kind = np.uint8 if bits == 8 else np.uint16
    planes = []
    for plane in layout.planes:
        coarse = rng.integers(20 << (bits - 8), 230 << (bits - 8), (plane.height // 4 + 1, plane.width // 4 + 1))
        planes.append(np.kron(coarse, np.ones((4, 4)))[: plane.height, : plane.width].astype(kind))
    return tuple(planes)


def make_movie(
    path: Path, codec: str, pix_fmt: str, *, colour=(1, 1, 1, 1), rate=Fraction(24000, 1001), times=None, audio=None,
    timecode=None, options=None, width=WIDTH, height=HEIGHT,
):  # fmt: skip
    """Writes one; the planes that went in are given back, the encoder may lose some of them."""
    frames = [random_planes(pix_fmt, index, width, height) for index in range(COUNT)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.options = width, height, pix_fmt, options or {}
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        context = stream.codec_context
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = colour
        if timecode:
            stream.metadata["timecode"] = timecode
        container.metadata["title"] = "a tiny movie"
        sound = container.add_stream(audio, rate=48000, layout="mono") if audio else None
        for index, planes in enumerate(frames):
            frame = video_frame(pix_fmt, planes)
            frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc = colour
            frame.pts = index if times is None else times[index]
            frame.time_base = 1 / rate if times is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            tone = (np.sin(np.arange(19_200) / 20) * 9000).astype(np.int16)[None]
            block = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            block.sample_rate, block.pts = 48000, 0
            resampler = av.AudioResampler(format=sound.codec_context.format, layout="mono", rate=48000)
            size = sound.codec_context.frame_size or 1024
            fifo = av.AudioFifo()
            for resampled in resampler.resample(block):
                fifo.write(resampled)
            while (part := fifo.read(size, partial=True)) is not None:
                container.mux(sound.encode(part))
            container.mux(sound.encode(None))
    return frames


def packets(path: Path, kind: str) -> list[bytes]:
    """Of the track of a kind."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [bytes(packet) for packet in container.demux(stream) if packet.size]
