"""What each kind of codec is fitted on, and with which settings: one `Job` a codec.

What does not depend on the schema is the same for every schema, so that codecs can be shared: text
is fitted on all text views and the context, audio on what is heard and said, images on a frame a
second of every camera, voices on what is said. From the schema come the rate, the action steps a
block, and the `options` of its `codecs:` entry; sizes come from the config's `codecs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from jobs.fit_train import Counted, Job, Train
from schemas.config import Config
from schemas.errors import StrettoError
from schemas.timeline import Say, Timeline
from token_schema.codec_set import action_name, codec_of, kinds
from token_schema.codecs import fit as fits
from token_schema.codecs.base import REAL_TYPES
from token_schema.codecs.fast import letters_of
from token_schema.codecs.fit import EMBEDDED, with_options
from token_schema.layouts.lanes import steps_per_block
from token_schema.models import AudioLane
from token_schema.schema import CodecSpec, TokenSchema

# the first books of a residual VQ do not depend on the later ones: fit enough for every schema
MIN_BOOKS = 8
CONTEXT = ("system", "role", "task", "tools", "embodiment")


def jobs_of(train: Train, config: Config) -> Iterator[Job]:
    """One job for each codec of the schema; for actions one an embodiment."""
    make = {"text": _text, "audio": _audio, "image": _image, "voice": _voice}
    for name, kind in kinds(train.schema).items():
        spec = _spec(train.schema, name, kind)
        if kind == "action":
            for subset in train.robots():
                yield _action(train, config, action_name(name, subset), spec, subset)
        elif spec.type in REAL_TYPES:
            yield _pinned(train, name, kind, spec)
        else:
            yield make[kind](train, config, name, spec)


def _spec(schema: TokenSchema, name: str, kind: str) -> CodecSpec:
    """What the schema declares, else the first embedded type of the kind. Raises StrettoError."""
    spec = schema.codecs.get(name) or CodecSpec(type=EMBEDDED[kind][0])
    where = f"{schema.name}: codecs.{name}"
    if spec.type not in (*EMBEDDED[kind], *REAL_TYPES):
        known = ", ".join((*EMBEDDED[kind], *REAL_TYPES))
        raise StrettoError(f"no codec type {spec.type!r} for {kind}", where, f"known: {known}")
    if spec.type not in REAL_TYPES and (spec.path or spec.revision):
        raise StrettoError(
            f"type {spec.type} is fitted on the corpus: it has no path", where, "leave `path` out"
        )
    if kind == "action" and schema.mode == "parallel" and spec.type != "uniform":
        raise StrettoError(
            f"type {spec.type} has no fixed number of ids a row, which the parallel mode needs",
            where,
            f"declare `codecs: {{{name}: {{type: uniform}}}}`",
        )
    return spec


def _settings(schema: TokenSchema, name: str, spec: CodecSpec, settings: Any) -> Any:
    return with_options(settings, spec.options, f"{schema.name}: codecs.{name}.options")


# ---- real codecs -------------------------------------------------------------------------------


def _pinned(train: Train, name: str, kind: str, spec: CodecSpec) -> Job:
    rate_hz = train.first().listen.sample_rate_hz if kind == "audio" else None
    wanted = {**_pin_settings(spec), "source_rate_hz": rate_hz}
    return Job(name, wanted, lambda: (_pin(kind, spec, spec.options, rate_hz), _from(spec)))


def _pin_settings(spec: CodecSpec) -> dict[str, Any]:
    return {
        "type": spec.type,
        "path": spec.path,
        "revision": spec.revision,
        "options": spec.options,
    }


def _pin(kind: str, spec: CodecSpec, options: Mapping[str, Any], rate_hz: int | None) -> Any:
    from token_schema.codecs.pinned import pin

    return pin(kind, spec.type, spec.path, spec.revision, options, rate_hz)


def _from(spec: CodecSpec) -> str:
    return f"{spec.type} of {spec.path}"


# ---- embedded codecs, one function a kind ------------------------------------------------------


def _text(train: Train, config: Config, name: str, spec: CodecSpec) -> Job:
    """Every text view and the context's fields, whatever the schema takes of them."""
    settings = fits.TextSettings(vocab_size=config.codecs.text_vocab)
    settings = _settings(train.schema, name, spec, settings)

    def make() -> tuple[Any, str]:
        counted = Counted(text for timeline, _ in train.samples() for text in texts_of(timeline))
        return fits.fit_text(counted, settings), f"fitted on {counted.count} texts"

    return Job(name, {"type": spec.type, **asdict(settings)}, make)


def texts_of(timeline: Timeline) -> Iterator[str]:
    """The texts of one sample: the head's, what is heard and typed, and what the agent produces."""
    context = timeline.context
    fields = [getattr(context, field) for field in CONTEXT] + [", ".join(context.languages)]
    yield from (value for value in fields if value)
    yield from (e.text for e in timeline.world if e.kind != "sound")
    yield from (e.text for e in timeline.agent if e.kind != "act")


def _audio(train: Train, config: Config, name: str, spec: CodecSpec) -> Job:
    """`listen` and `speak` of the samples, at the rate of the lanes that name the codec."""
    lanes = [x for x in train.schema.lanes if isinstance(x, AudioLane) and codec_of(x) == name]
    rates = sorted({lane.rate_hz for lane in lanes})
    if len(rates) > 1:
        raise StrettoError(
            f"one codec cannot have {' and '.join(f'{r:g}' for r in rates)} Hz",
            f"{train.schema.name}: codec {name}",
            "give the lanes codecs of different names",
        )
    settings = fits.AudioSettings(
        sample_rate_hz=train.first().listen.sample_rate_hz,
        rate_hz=rates[0],
        codebooks=max(MIN_BOOKS, *(lane.codebooks for lane in lanes)),
        entries=config.codecs.audio_entries,
        seed=config.seed,
    )
    settings = _settings(train.schema, name, spec, settings)

    def make() -> tuple[Any, str]:
        tracks = (pcm for _, m in train.spread() for pcm in (m.listen(), m.speak()))
        counted = Counted(tracks)
        return fits.fit_audio(counted, settings), f"fitted on {counted.count} tracks"

    return Job(name, {"type": spec.type, **asdict(settings)}, make)


def _image(train: Train, config: Config, name: str, spec: CodecSpec) -> Job:
    """A frame a second of every camera."""
    settings = fits.ImageSettings(entries=config.codecs.image_entries, seed=config.seed)
    settings = _settings(train.schema, name, spec, settings)

    def frames() -> Iterator[Any]:
        for timeline, media in train.spread():
            for track in timeline.look:
                at = np.arange(0, track.frame_count, max(1.0, track.fps)).astype(int)
                yield from media.frames(track.camera, at.tolist())

    def make() -> tuple[Any, str]:
        # a subset has one member set: its first sample tells for all
        if not any(train.first(subset).look for subset in train.subsets()):
            return None, "no sample has a camera"
        counted = Counted(frames())
        return fits.fit_image(counted, settings), f"fitted on {counted.count} frames"

    return Job(name, {"type": spec.type, **asdict(settings)}, make)


def _voice(train: Train, config: Config, name: str, spec: CodecSpec) -> Job:
    """What each voice says first; its sound is decoded only until its clip is full."""
    prompt = train.schema.prompt
    assert prompt is not None
    rate_hz = train.first().speak.sample_rate_hz
    settings = fits.VoiceSettings(sample_rate_hz=rate_hz, seconds=prompt.voice_s)
    settings = _settings(train.schema, name, spec, settings)
    seen: dict[str, int] = {}

    def said() -> Iterator[tuple[str, Any]]:
        for timeline, media in train.samples():
            for event in timeline.agent:
                if isinstance(event, Say) and seen.get(event.voice, 0) < settings.samples:
                    pcm = media.speak()[_span(event.start_s, event.end_s, rate_hz)]
                    seen[event.voice] = seen.get(event.voice, 0) + (len(pcm) if pcm.any() else 0)
                    yield event.voice, pcm

    def make() -> tuple[Any, str]:
        try:
            return fits.fit_voice(said(), settings), f"clips of {settings.seconds:g} s"
        except StrettoError:
            if any(seen.values()):
                raise
            return None, "no sample says anything"

    return Job(name, {"type": spec.type, **asdict(settings)}, make)


def _span(start_s: float, end_s: float, rate_hz: int) -> slice:
    return slice(round(start_s * rate_hz), round(end_s * rate_hz))


def _action(train: Train, config: Config, name: str, spec: CodecSpec, subset: str) -> Job:
    """The action rows of one embodiment; FAST in chunks of a block."""

    def rows() -> Iterator[Any]:
        found = (media.act() for _, media in train.samples(subset))
        return (array for array in found if array is not None)

    if spec.type == "uniform":
        uniform = fits.UniformSettings(seed=config.seed)
        uniform = _settings(train.schema, name, spec, uniform)
        return _fitted(name, spec, uniform, fits.fit_uniform, rows, "")
    act = train.first(subset).act
    assert act is not None
    horizon = steps_per_block(train.schema, act.fps, f"subset {subset}")
    if spec.type in REAL_TYPES:
        return _pinned_action(name, spec, rows, horizon)
    fast = fits.ActionSettings(
        horizon=horizon,
        scale=config.codecs.action_scale,
        vocab_size=config.codecs.action_vocab,
        seed=config.seed,
    )
    fast = _settings(train.schema, name, spec, fast)
    options = f"{train.schema.name}: codecs.{name}.options" if spec.options else ""
    _check_fast(fast, config, options)
    return _fitted(name, spec, fast, fits.fit_action, rows, f", {horizon} steps a chunk")


def _check_fast(settings: Any, config: Config, options: str) -> None:
    """Refuse sizes that fit no corpus, by the keys that set them: the config's, or `options`."""
    try:
        letters_of(settings)
    except StrettoError as error:
        if options:
            raise StrettoError(error.what, options, error.fix) from None
        where = f"{config.name}: codecs.action_vocab, codecs.action_scale"
        fix = "raise `codecs.action_vocab` or lower `codecs.action_scale`"
        raise StrettoError(error.what, where, fix) from None


def _fitted(
    name: str,
    spec: CodecSpec,
    settings: Any,
    fit: Callable[..., Any],
    rows: Callable[[], Iterator[Any]],
    note: str,
) -> Job:
    def make() -> tuple[Any, str]:
        counted = Counted(rows())
        return fit(counted, settings), f"fitted on {counted.count} episodes{note}"

    return Job(name, {"type": spec.type, **asdict(settings)}, make)


def _pinned_action(
    name: str, spec: CodecSpec, rows: Callable[[], Iterator[Any]], horizon: int
) -> Job:
    """Real FAST files, scaled by the train split's range of this embodiment."""
    from token_schema.codecs.hf_fast import fit_options

    def make() -> tuple[Any, str]:
        options = {**fit_options(rows(), horizon), **spec.options}
        return _pin("action", spec, options, None), f"{_from(spec)}, {horizon} steps a chunk"

    return Job(name, {**_pin_settings(spec), "horizon": horizon}, make)
