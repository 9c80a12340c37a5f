"""An engine in processes of its own: isolated from crashes, in another environment if need be.

`HostedBackend(speech)` speaks like any backend. It starts up to `speech.streams` workers (`worker.py`),
no more than there are batches, by the interpreter `speech.python`, splits a request list by the
engine's fixed rule, and gives batch i to worker i modulo streams: never to whoever is free, so that
the same requests always make the same batches. A worker that dies or hangs is started again and the
batch retried once; then its utterances are tried one by one, and what still kills the worker is a
StrettoError of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from generators.speech.backend import SpeechRequest, Spoken
from generators.speech.engines import engine
from generators.speech.worker_process import WorkerDied, WorkerProcess
from schemas.config.speech import SpeechConfig
from schemas.errors import StrettoError

Attempt = Callable[[list[SpeechRequest]], list[Spoken]]


class HostedBackend:
    """See the module. `version` and `check` ask a worker, which loads no weights for it.

    With `check` false it only tells its version: the engine will speak on another machine.
    """

    def __init__(self, speech: SpeechConfig, check: bool = True) -> None:
        self.name = speech.backend
        self._speech, self._engine = speech, engine(speech.backend)
        self._workers = [WorkerProcess(speech, check) for _ in range(speech.streams)]

    def version(self) -> str:
        """The versions that shape the audio, as found in the engine's own environment."""
        self._workers[0].start()
        return self._workers[0].version

    def check(self) -> None:
        """StrettoError when the engine can't run there: one worker answers for its likes."""
        self._workers[0].start()

    def close(self) -> None:
        """End the workers; the next use starts them again."""
        for worker in self._workers:
            worker.stop()

    def say(self, requests: Sequence[SpeechRequest]) -> list[Spoken]:
        """Speech per request, in order."""
        batches = self._engine.batches(self._speech, requests)
        count = len(self._workers)
        with ThreadPoolExecutor(max(1, min(count, len(batches)))) as pool:
            lanes = [batches[lane::count] for lane in range(count)]
            spoken = pool.map(lambda lane: self._lane(lane, lanes[lane], requests), range(count))
            answers = {index: answer for lane in spoken for index, answer in lane}
        return [answers[index] for index in range(len(requests))]

    def _lane(
        self, lane: int, batches: list[list[int]], requests: Sequence[SpeechRequest]
    ) -> list[tuple[int, Spoken]]:
        """The batches of one worker, one after the other."""
        done: list[tuple[int, Spoken]] = []
        for batch in batches:
            wanted = [requests[index] for index in batch]
            done += zip(batch, self._batch(self._workers[lane], wanted), strict=True)
        return done

    def _batch(self, worker: WorkerProcess, wanted: list[SpeechRequest]) -> list[Spoken]:
        for _ in range(2):
            try:
                return worker.say(wanted)
            except WorkerDied as died:
                reason = str(died)
        if len(wanted) == 1:
            return [_failed(wanted[0], reason)]
        return [self._alone(worker, request) for request in wanted]

    def _alone(self, worker: WorkerProcess, request: SpeechRequest) -> Spoken:
        try:
            return worker.say([request])[0]
        except WorkerDied as died:
            return _failed(request, str(died))


def _failed(request: SpeechRequest, reason: str) -> StrettoError:
    return StrettoError(
        reason,
        f"speech {request.voice.name} {request.text[:40]!r}",
        "look at the text; the other utterances are spoken",
    )
