"""The first stage: the language model gives the turns that have no `say` one.

With `text: {rewriter: rules}` it does nothing: planning says such a turn by the rules. Each turn is
rewritten by itself, so that no turn rests on a later one. The turns of a shard are asked together,
`text.streams` at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from generators.rewrite import Rewriter
from generators.speech.artefacts import Artefacts
from pipeline.artefacts import text_artefacts
from pipeline.store import Store
from pipeline.work import Services, Stage, Work, rejected
from schemas.config import Config
from schemas.errors import MachineError, StrettoError
from schemas.records import Dialogue, Turn

Asked = tuple[str, str, str]


def open_rewriter(config: Config, store: Store | None) -> Rewriter | None:
    """The rewriter that asks a model, with what it keeps; None for the rules."""
    if config.text.rewriter == "rules":
        return None
    kept: Artefacts | None = text_artefacts(config, store)
    return Rewriter(config.text, config.seed, kept)


def _run(works: list[Work], config: Config, services: Services) -> list[Work]:
    rewriter = services.rewriter
    if rewriter is None:
        return works
    wanted = list(dict.fromkeys(asked for work in works for _, asked in _open_turns(work, config)))
    pool = ThreadPoolExecutor(config.text.streams)
    try:
        answers = dict(zip(wanted, pool.map(lambda a: _said(rewriter, a), wanted), strict=True))
    finally:  # after a fault of the machine nobody else is asked
        pool.shutdown(cancel_futures=True)
    return [_filled(work, config, answers) for work in works]


def _said(rewriter: Rewriter, asked: Asked) -> str | StrettoError:
    """The answer, or why there is none. A MachineError stops the run."""
    try:
        return rewriter.say(*asked)
    except MachineError:
        raise
    except StrettoError as error:
        return error


def _open_turns(work: Work, config: Config) -> Iterator[tuple[int, Asked]]:
    """The turns to be asked for; none of a record that planning refuses for its length."""
    record, most = work.record, config.scene.max_turn_chars
    if work.rejection or not isinstance(record, Dialogue):
        return
    if any(len(turn.text) > most for turn in record.turns):
        return
    for index, turn in enumerate(record.turns):
        if turn.role in ("user", "assistant") and turn.say is None and turn.text.strip():
            yield index, (turn.text, record.language, turn.role)


def _filled(work: Work, config: Config, answers: dict[Asked, str | StrettoError]) -> Work:
    wanted = dict(_open_turns(work, config))
    if not wanted or not isinstance(work.record, Dialogue):
        return work
    turns: list[Turn] = list(work.record.turns)
    for index, asked in wanted.items():
        answer = answers[asked]
        if isinstance(answer, StrettoError):
            where = f"turn {index + 1} ({turns[index].role})"
            return rejected(work, "rewrite", StrettoError(answer.what, where, answer.fix))
        if answer:  # nothing to say is planning's to judge
            turns[index] = turns[index].model_copy(update={"say": answer})
    return replace(work, record=work.record.model_copy(update={"turns": tuple(turns)}))


STAGE = Stage("rewrite", _run)
