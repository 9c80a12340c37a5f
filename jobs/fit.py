"""`stretto fit CONFIG DIR [--out FOLDER]`: fit the embedded codecs that the config's schema names.

Reads the train split of the corpus in DIR only, in the order of its index, and keeps each codec as
DIR/codecs/NAME/ (or FOLDER/codecs/NAME/), where `CodecSet.load` finds it. The same corpus gives the
same bytes. Rate, codebooks and steps a block come from the schema, the seed from the config.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs.config_file import load_config
from pipeline.corpus_files import dataset
from pipeline.store import Store, open_store
from pipeline.stream import Corpus, open_corpus
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.sample import Media
from schemas.timeline import Timeline
from token_schema.codec_set import FOLDER, kinds
from token_schema.codecs.base import MANIFEST
from token_schema.codecs.fit import (
    ActionSettings,
    AudioSettings,
    ImageSettings,
    TextSettings,
    fit_action,
    fit_audio,
    fit_image,
    fit_text,
)
from token_schema.encode import prompt_text
from token_schema.lanes import audio_blocks, camera_track, shown_frames, steps_per_block
from token_schema.language import ActLane, AudioLane, LookLane, TextLane, TokenSchema, load_schema

# Encoding is fast but not free: this much audio is plenty for 24,000 sampled frames
MAX_AUDIO_SAMPLES = 4000


@dataclass(frozen=True)
class Train:
    """The train split of a corpus, streamed anew for every codec."""

    corpus: Corpus
    schema: TokenSchema

    def samples(self, subset: str | None = None) -> Iterator[tuple[Timeline, Media]]:
        for row in self.corpus.rows("train", subset=subset):
            yield self.corpus.read(int(row))

    def subsets(self) -> list[str]:
        """The subsets in the train split, sorted."""
        rows = self.corpus.rows("train")
        return sorted(set(self.corpus.index.column("subset").take(rows).to_pylist()))


def run(config: str | Config, dir: str, out: str | None = None) -> int:
    """Fit and keep every codec of the schema. Exit code 0; StrettoError when it cannot be done."""
    checked = load_config(config) if isinstance(config, str) else config
    corpus, schema = open_corpus(dir), load_schema(checked.schema_name)
    train = Train(corpus, schema)
    _require_own(corpus, checked)
    if not len(corpus.rows("train")):
        raise StrettoError(
            "no sample in the train split",
            corpus.url,
            "codecs are fitted on train alone: make a larger corpus",
        )
    store = open_store(out) if out else corpus.store
    for name, fit in _jobs(train, checked):
        codec, on = fit()
        if codec is None:
            print(f"{name}: not fitted, {on}", flush=True)
            continue
        _keep(store, name, codec)
        print(f"{name}: {codec.size} ids, fitted on {on}, hash {codec.hash[:12]}", flush=True)
    print(f"codecs of schema {schema.name} are in {store.shown.rstrip('/')}/{FOLDER}")
    return 0


def _require_own(corpus: Corpus, config: Config) -> None:
    """Another corpus's config would give codecs of other sizes and seeds, without a word."""
    made_by = dataset(corpus.store).get("name", config.name)
    if made_by != config.name:
        raise StrettoError(
            f"this corpus was made by the config {made_by!r}, not {config.name!r}",
            corpus.url,
            "give the config that made it",
        )


def _jobs(train: Train, config: Config) -> Iterator[tuple[str, Any]]:
    """(codec name, function that gives (codec, what it was fitted on)) for each codec."""
    fits = {"text": _text, "audio": _audio, "image": _image}
    for name, kind in kinds(train.schema).items():
        if kind != "action":
            yield name, lambda n=name, k=kind: fits[k](train, config, n)
            continue
        for subset in train.subsets():
            rows = train.corpus.rows("train", subset=subset)
            if train.corpus.row(int(rows[0]))["kind"] == "trajectory":
                yield f"{name}-{subset}", lambda s=subset: _action(train, config, s)


def _keep(store: Store, name: str, codec: Any) -> None:
    """The manifest last: until it stands there, the codec does not."""
    files = codec.to_files()
    for file in sorted(files, key=lambda f: f == MANIFEST):
        store.write_bytes(f"{FOLDER}/{name}/{file}", files[file])


# ---- one function a kind -----------------------------------------------------------------------


class _Counted:
    """Passes items on and counts them, so that a fit can say what it saw."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items, self.count = items, 0

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self.count += 1
            yield item


def _text(train: Train, config: Config, name: str) -> tuple[Any, str]:
    """Texts of the lanes that use this codec, and the prompts."""
    lanes = {x.channel for x in train.schema.lanes if isinstance(x, TextLane) and x.codec == name}

    def texts() -> Iterator[str]:
        for timeline, _ in train.samples():
            if train.schema.prompt.codec == name:
                yield prompt_text(train.schema, timeline)
            yield from (e.text for e in timeline.agent if e.kind in lanes and e.kind != "act")

    counted = _Counted(texts())
    return fit_text(
        counted, TextSettings(vocab_size=config.codecs.text_vocab)
    ), f"{counted.count} texts"


def _audio(train: Train, config: Config, name: str) -> tuple[Any, str]:
    """`listen` and `speak` of every sample, as the lanes that use this codec have them."""
    lanes = [x for x in train.schema.lanes if isinstance(x, AudioLane) and x.codec == name]
    channels = [c for c in ("listen", "speak") if any(x.channel == c for x in lanes)]
    timeline, _ = next(train.samples())
    settings = AudioSettings(
        sample_rate_hz=timeline.listen.sample_rate_hz,
        rate_hz=lanes[0].rate_hz,
        codebooks=max(x.codebooks for x in lanes),
        entries=config.codecs.audio_entries,
        seed=config.seed,
    )
    rows = train.corpus.rows("train")
    # evenly spaced over the split, so that every source and shard is heard
    picked = rows[np.unique(np.linspace(0, len(rows) - 1, MAX_AUDIO_SAMPLES).astype(int))]

    def waveforms() -> Iterator[Any]:
        for row in picked:
            _, media = train.corpus.read(int(row))
            for channel in channels:
                yield media.listen() if channel == "listen" else media.speak()

    counted = _Counted(waveforms())
    return fit_audio(counted, settings), f"{counted.count} tracks ({' and '.join(channels)})"


def _image(train: Train, config: Config, name: str) -> tuple[Any, str]:
    """The frames that the lanes which use this codec show."""
    lanes = [x for x in train.schema.lanes if isinstance(x, LookLane) and x.codec == name]

    def frames() -> Iterator[Any]:
        for timeline, media in train.samples():
            for lane in lanes if timeline.look else []:
                track = camera_track(lane, timeline)
                blocks = audio_blocks(train.schema, timeline)
                if track is not None:
                    shown = np.unique(shown_frames(train.schema, lane, track, blocks))
                    yield from media.frames(track.camera, shown.tolist())

    counted = _Counted(frames())
    if not _has_cameras(train):
        return None, "no sample has a camera"
    return fit_image(
        counted, ImageSettings(entries=config.codecs.image_entries, seed=config.seed)
    ), f"{counted.count} frames"


def _has_cameras(train: Train) -> bool:
    """A subset has one member set: its first sample tells for all."""
    first = (next(train.samples(subset))[0] for subset in train.subsets())
    return any(timeline.look for timeline in first)


def _action(train: Train, config: Config, subset: str) -> tuple[Any, str]:
    """The action rows of one embodiment, in chunks of a block."""
    assert any(isinstance(x, ActLane) for x in train.schema.lanes)
    timeline, _ = next(train.samples(subset))
    if timeline.act is None:
        return None, "its samples have no actions"
    horizon = steps_per_block(train.schema, timeline.act.fps, f"subset {subset}")
    counted = _Counted(
        rows for _, media in train.samples(subset) if (rows := media.act()) is not None
    )
    settings = ActionSettings(
        horizon=horizon,
        scale=config.codecs.action_scale,
        vocab_size=config.codecs.action_vocab,
        seed=config.seed,
    )
    return fit_action(counted, settings), f"{counted.count} episodes, {horizon} steps a chunk"
