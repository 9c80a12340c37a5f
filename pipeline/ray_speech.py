"""The speech engine as a pool of Ray actors, each on its share of a GPU, that shard tasks call.

    with cluster(address), speech_pool(config, limits.cpus) as pool: ...   # None: speaks in the task

Needed where the engine has an environment of its own, a GPU, or several streams. The actors run in
that environment (`runtime_env`), which must hold the same Ray and Python: Ray itself hangs where it
does not, so the driver looks first. Batch i of a shard goes to actor i modulo their number, so the
batches are those of the local runner.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from generators.speech import SpeechRequest, Spoken, is_hosted, wire
from generators.speech.actor import SpeechActor
from generators.speech.engines import engine
from pipeline import ray_bootstrap
from pipeline.deadline import paused
from schemas.config import Config
from schemas.config.speech import SpeechConfig
from schemas.errors import StrettoError

PREFLIGHT_S = 120.0
# An engine that does not open by then has no room in the cluster, or its node never came.
OPEN_S = 600.0
NODE_TRIES = 5
PROBE = (
    "import json, sys, ray, numpy; print(json.dumps([ray.__version__, "
    "list(sys.version_info[:2]), numpy.__version__]))"
)


@dataclass(eq=False)
class SpeechPool:
    """A backend made of actors: goes to every task, by handle. `id` tells one run's from another's."""

    name: str
    speech: SpeechConfig
    actors: tuple[Any, ...]
    said_version: str
    id: str

    def version(self) -> str:
        """The version that every actor gave."""
        return self.said_version

    def check(self) -> None:
        """Done by `speech_pool`."""

    def close(self) -> None:
        """The pool ends its actors, not a task."""

    def say(self, requests: Sequence[SpeechRequest]) -> list[Spoken]:
        """Speech per request, in order."""
        import ray

        batches = engine(self.name).batches(self.speech, requests)
        refs = []
        for number, batch in enumerate(batches):
            plain = [wire.plain_request(requests[index]) for index in batch]
            refs.append(self.actors[number % len(self.actors)].say.remote(plain))
        with paused():  # other shards' utterances are before ours in the actors' queues
            try:
                heard = ray.get(refs)
            except ray.exceptions.RayTaskError as error:
                raise error.cause if isinstance(error.cause, StrettoError) else error from None
            except ray.exceptions.RayActorError as error:
                raise StrettoError(
                    f"the speech actors' node died {NODE_TRIES} times: {_line(error)}",
                    "speech",
                    "run the same command again: it resumes",
                ) from None
        answers: dict[int, Spoken] = {}
        for batch, said in zip(batches, heard, strict=True):
            for index, (head, pcm) in zip(batch, said, strict=True):
                answers[index] = wire.answer_from(head, pcm)
        return [answers[index] for index in range(len(requests))]


@contextmanager
def speech_pool(config: Config, task_cpus: float, own: bool) -> Iterator[SpeechPool | None]:
    """The pool of a run, ended afterwards; None where the engine speaks in the shard's task.

    `own`: the cluster is this process's own, so that what it lacks will never come.
    """
    if not is_hosted(config.speech):
        yield None
        return
    import ray

    speech = config.speech
    if speech.python:
        _preflight(ray, speech)
    actors = _actors(ray, speech, task_cpus, own)
    try:
        yield SpeechPool(speech.backend, speech, actors, _opened(ray, actors), uuid.uuid4().hex)
    finally:
        _end(ray, actors)


def _actors(ray: Any, speech: SpeechConfig, task_cpus: float, own: bool) -> tuple[Any, ...]:
    there = ray.cluster_resources()
    if own and there.get("GPU", 0) < speech.gpus * speech.streams:
        raise StrettoError(
            f"{speech.streams} streams of {speech.gpus:g} GPUs on {there.get('GPU', 0):g} GPUs",
            "speech.gpus",
            "ask for less (0.25: four streams on a GPU), or join a cluster that has them",
        )
    options: dict[str, Any] = {
        "num_cpus": actor_cpus(speech, there.get("CPU", 0), task_cpus),
        "num_gpus": speech.gpus,
        "max_restarts": -1,
        "max_task_retries": NODE_TRIES,
    }
    arguments = speech.model_dump_json(), os.getcwd()
    kind: Any = SpeechActor
    if speech.python:
        options["runtime_env"] = _environment(speech)
        ray.cloudpickle.register_pickle_by_value(ray_bootstrap)
        kind = type("Engine", (ray_bootstrap.Bootstrap,), {"zipped": ray_bootstrap.packages()})
    made = ray.remote(**options)(kind)
    return tuple(made.remote(*arguments) for _ in range(speech.streams))


def _end(ray: Any, actors: tuple[Any, ...]) -> None:
    """Let them clean up, then end them whatever they do."""
    try:
        ray.get([actor.close.remote() for actor in actors], timeout=10)
    except ray.exceptions.RayError:
        pass
    for actor in actors:
        ray.kill(actor)


def actor_cpus(speech: SpeechConfig, total: float, task_cpus: float) -> float:
    """CPUs of an actor: what is asked for, but never so many that no shard's task can run."""
    left = max(0.0, total - task_cpus) / speech.streams
    share = min(speech.cpus, left)
    # Ray takes whole CPUs above one, and hundredths below
    return float(int(share)) if share >= 1 else int(share * 100) / 100


def _environment(speech: SpeechConfig) -> dict[str, Any]:
    """The actor's interpreter, without our PYTHONPATH."""
    return {
        "py_executable": os.path.abspath(os.path.expanduser(speech.python or "")),
        "env_vars": {"PYTHONPATH": "", **speech.env},
    }


def _opened(ray: Any, actors: tuple[Any, ...]) -> str:
    """The version that all actors give. StrettoError when one can't run."""
    try:
        heads = ray.get([actor.open.remote() for actor in actors], timeout=OPEN_S)
    except ray.exceptions.GetTimeoutError:
        raise StrettoError(
            f"the speech actors do not start within {OPEN_S:g} s",
            "speech",
            "has the cluster the GPUs and CPUs that `speech.gpus`, `cpus` and `streams` ask for?",
        ) from None
    except ray.exceptions.RayError as error:
        raise StrettoError(f"the speech actors do not start: {_line(error)}", "speech") from None
    for head in heads:
        if "error" in head:
            raise StrettoError(*head["error"])
    versions = sorted({head["version"] for head in heads})
    if len(versions) > 1:
        raise StrettoError(
            f"the nodes have different engines: {versions[0]} and {versions[1]}",
            "speech",
            "install the same on every node",
        )
    return versions[0]


def _preflight(ray: Any, speech: SpeechConfig) -> None:
    """Ray, Python and numpy of the engine's environment must be ours, or Ray hangs."""
    import numpy

    python = os.path.expanduser(speech.python or "")
    where = f"speech.python {python}"
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        code, said, told = _probed(python, env | speech.env)
    except OSError as error:
        raise StrettoError(f"that interpreter can't be run: {error}", where) from None
    except subprocess.TimeoutExpired:
        raise StrettoError(f"it does not answer within {PREFLIGHT_S:g} s", where) from None
    if code:
        told = (told.strip().splitlines() or ["no reason given"])[-1]
        raise StrettoError(
            f"it can't host a Ray actor: {told}",
            where,
            f"install ray=={ray.__version__} and numpy>=2 there",
        )
    theirs, version, their_numpy = json.loads(said.strip().splitlines()[-1])
    pairs = [
        ("ray", theirs, ray.__version__),
        ("Python", tuple(version), tuple(sys.version_info[:2])),
        ("numpy", their_numpy.split(".")[0], numpy.__version__.split(".")[0]),
    ]
    for what, there, here in pairs:
        if there != here:
            raise StrettoError(
                f"it has {what} {_dots(there)}, this process {_dots(here)}",
                where,
                "make that environment with the same ray, Python and numpy major version",
            )


def _probed(python: str, env: dict[str, str]) -> tuple[int, str, str]:
    """Exit code, output and errors of the probe; nothing that it started is left."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [python, "-c", PROBE], stdout=pipe, stderr=pipe, text=True, env=env, start_new_session=True
    )
    try:
        said, told = process.communicate(timeout=PREFLIGHT_S)
        return process.returncode, said, told
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _dots(version: Any) -> str:
    return version if isinstance(version, str) else ".".join(str(part) for part in version)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
