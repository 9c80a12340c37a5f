"""AudioRVQ: speech as a few small whole numbers per frame, and back to sound one can listen to.

A code frame is `subframes` causal log-mel level vectors side by side; each codebook codes what the
ones before it left over. Everything that decides a code is whole-number arithmetic (see mel.py and
exact.py), so batch, threads, prefix and processor cannot change it. Entry 0 of every codebook is
the zero vector: digital silence is code 0 in each, and decodes to digital silence.

    codec = AudioRVQ.fit(waveforms, AudioSettings())
    codes = codec.encode(pcm)         # int16 [n] -> int32 [n // frame_samples, codebooks]
    pcm = codec.decode(codes)         # int16 [frames * frame_samples]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from schemas import draws
from schemas.errors import StrettoError
from token_schema.codecs import base
from token_schema.codecs.exact import Reservoir, kmeans, nearest
from token_schema.codecs.griffin_lim import levels_to_pcm
from token_schema.codecs.mel import TOP_LEVEL, MelSpec, MelTables

VERSION = 1


@dataclass(frozen=True)
class AudioSettings:
    """Clock, size and fitting of an AudioRVQ. `sample_frames` bounds the memory of a fit."""

    sample_rate_hz: int = 16000
    rate_hz: float = 10.0
    subframes: int = 4
    n_mels: int = 40
    codebooks: int = 4
    entries: int = 256
    sample_frames: int = 24000
    iterations: int = 12
    seed: int = 0

    @property
    def mel(self) -> MelSpec:
        return MelSpec(self.sample_rate_hz, self.rate_hz, self.subframes, self.n_mels)


class AudioRVQ(base.StoredCodec):
    """Residual VQ over causal log-mel frames. `lookahead_s` is 0: frame i ends where it ends."""

    kind = "audio"
    lookahead_s = 0.0

    def __init__(self, spec: MelSpec, books: np.ndarray) -> None:
        """`books` int16 [codebooks, entries, subframes * n_mels], entry 0 of each all zero."""
        self.spec, self.books = spec, books
        self._tables = MelTables.of(spec)

    @property
    def size(self) -> int:
        """Ids in each codebook: codes are in 0..size-1."""
        return self.books.shape[1]

    @property
    def codebooks(self) -> int:
        """Codes in a frame."""
        return self.books.shape[0]

    @property
    def rate_hz(self) -> float:
        """Code frames a second."""
        return self.spec.rate_hz

    @property
    def sample_rate_hz(self) -> int:
        """The sample rate of what it encodes and decodes."""
        return self.spec.sample_rate_hz

    @property
    def frame_samples(self) -> int:
        """Samples in a code frame."""
        return self.spec.frame_samples

    def encode(self, pcm: np.ndarray) -> np.ndarray:
        """Codes int32 [n // frame_samples, codebooks] of int16 samples [n].

        Frame i rests on samples before (i + 1) * frame_samples; a last part frame gives no code.
        """
        rest = frames_of(pcm, self._tables)
        codes = np.empty((len(rest), self.codebooks), np.int32)
        for q, book in enumerate(self.books):
            codes[:, q] = nearest(rest, book)
            rest = rest - book[codes[:, q]]
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """int16 samples [frames * frame_samples] for codes [frames, Q], Q up to `codebooks`.

        For listening: the mel levels are exact, the phases are Griffin and Lim's.
        """
        return levels_to_pcm(self.levels(codes), self._tables)

    def levels(self, codes: np.ndarray) -> np.ndarray:
        """Mel levels int16 [frames * subframes, n_mels] that the codes stand for."""
        codes = np.asarray(codes)
        if codes.ndim != 2 or codes.shape[1] > self.codebooks:
            raise StrettoError(
                f"codes of shape {list(codes.shape)}, not [frames, {self.codebooks}]", "audio codec"
            )
        if codes.size and not (0 <= codes.min() and codes.max() < self.size):
            raise StrettoError(f"audio code outside of 0..{self.size - 1}", "audio codec")
        total = np.zeros((len(codes), self.books.shape[2]), np.int32)
        for q in range(codes.shape[1]):
            total += self.books[q][codes[:, q]]
        return np.clip(total, 0, TOP_LEVEL).astype(np.int16).reshape(-1, self.spec.n_mels)

    def silence_codes(self, frames: int = 1) -> np.ndarray:
        """Codes of digital silence, int32 [frames, codebooks]."""
        return np.zeros((frames, self.codebooks), np.int32)

    def to_files(self) -> dict[str, bytes]:
        return base.pack(
            self.kind,
            "rvq",
            VERSION,
            asdict(self.spec),
            {"codebooks.npy": base.npy_bytes(self.books)},
        )

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], where: str = "codec") -> AudioRVQ:
        """The codec of these files; StrettoError when they are not whole."""
        settings = base.unpack(files, "rvq", VERSION, where)
        spec = base.build(MelSpec, settings, where)
        width = spec.subframes * spec.n_mels
        books = base.read_array(files, "codebooks.npy", "<i2", (None, None, width), where)
        if books[:, 0].any() or np.abs(books.astype(np.int32)).max() > 4 * TOP_LEVEL:
            raise StrettoError("codebooks hold entries no fit makes", where, base.FIX)
        return cls(spec, books)

    @classmethod
    def fit(
        cls, waveforms: Iterable[np.ndarray], settings: AudioSettings | None = None
    ) -> AudioRVQ:
        """Fit on int16 waveforms at the settings' sample rate, memory bounded.

        Frames of digital silence are left out: entry 0 has them already.
        """
        settings = settings or AudioSettings()
        if not (1 <= settings.codebooks <= 32 and 2 <= settings.entries <= 65536):
            raise StrettoError("codebooks must be 1-32 and entries 2-65536", "codec settings")
        tables = MelTables.of(settings.mel)
        keep = Reservoir(settings.sample_frames, draws.rng(settings.seed, "fit", "audio", "sample"))
        for pcm in waveforms:
            frames = frames_of(pcm, tables)
            keep.add(frames[frames.any(axis=1)])
        rows = keep.rows()
        if rows is None:
            raise StrettoError(
                "no audible frame to fit the audio codec on",
                "fit audio",
                "give a corpus with sound in its listen or speak tracks",
            )
        return cls(settings.mel, _fit_books(rows, settings))


def frames_of(pcm: np.ndarray, tables: MelTables) -> np.ndarray:
    """Level frames int16 [n // frame_samples, subframes * n_mels] of int16 samples [n]."""
    pcm = np.asarray(pcm)
    if pcm.ndim != 1 or pcm.dtype != np.int16:
        raise StrettoError(
            f"audio must be int16 [n], not {pcm.dtype} {list(pcm.shape)}", "audio codec"
        )
    spec = tables.spec
    count = len(pcm) // spec.frame_samples
    levels = tables.levels(pcm[: count * spec.frame_samples])
    return levels.reshape(count, spec.subframes * spec.n_mels).astype(np.int16)


def _fit_books(rows: np.ndarray, settings: AudioSettings) -> np.ndarray:
    """One codebook after the other, each on what is left over."""
    rest, books = rows.astype(np.int32), []
    for q in range(settings.codebooks):
        rng = draws.rng(settings.seed, "fit", "audio", f"codebook {q}")
        book = kmeans(rest, settings.entries, rng, settings.iterations, zero_entry=True)
        rest = rest - book[nearest(rest, book)]
        books.append(book)
    return np.stack(books).astype(np.int16)
