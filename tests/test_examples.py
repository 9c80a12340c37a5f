"""The committed example input is whole: dialogues parse, the robot folder agrees with itself.

Run: `python -m pytest tests/test_examples.py`. The robot files are read with pyarrow and PyAV
directly, not through the project's own reader, so a fault there cannot hide one here.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import espeakng_loader
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from schemas.base import KEY_PATTERN
from schemas.config import Config
from schemas.records import Turn

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
ROBOT = EXAMPLES / "data" / "metaworld"
CAMERA = "observation.images.corner"
SIZE_LIMIT_BYTES = 5_000_000


@pytest.fixture(scope="module")
def dialogues() -> list[dict[str, Any]]:
    lines = (EXAMPLES / "data" / "dialogues.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def info() -> dict[str, Any]:
    return json.loads((ROBOT / "meta" / "info.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rows() -> dict[str, np.ndarray]:
    table = pq.read_table(ROBOT / "data" / "chunk-000" / "file-000.parquet")
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


@pytest.fixture(scope="module")
def episodes() -> list[dict[str, Any]]:
    return pq.read_table(ROBOT / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()


@pytest.fixture(scope="module")
def video() -> tuple[list[float], np.ndarray]:
    """Frame times in seconds, and frames uint8 [N, H, W, 3]."""
    path = ROBOT / "videos" / CAMERA / "chunk-000" / "file-000.mp4"
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [f.time for f in frames], np.stack([f.to_ndarray(format="rgb24") for f in frames])


def turns_of(dialogue: dict[str, Any]) -> list[Turn]:
    """The messages as the project's own record; it refuses unknown roles and unknown fields."""
    return [
        Turn(text=m["content"], **{k: v for k, v in m.items() if k != "content"})
        for m in dialogue["messages"]
    ]


def spoken(turn: Turn) -> str:
    return turn.say if turn.say is not None else turn.text


# --- dialogues --------------------------------------------------------------------------------


def test_every_dialogue_parses_and_has_both_sides(dialogues: list[dict[str, Any]]) -> None:
    assert len(dialogues) >= 48
    for dialogue in dialogues:
        assert set(dialogue) == {"id", "language", "messages", "tags", "license"}, dialogue["id"]
        assert dialogue["license"] == "CC0-1.0"
        turns = turns_of(dialogue)
        assert {"user", "assistant"} <= {t.role for t in turns}, dialogue["id"]
        assert all(t.text.strip() == t.text and t.text for t in turns), dialogue["id"]
        assert not re.search(r"[\x00-\x09\x0b-\x1f]", "".join(t.text for t in turns))


def test_ids_are_unique_keys_and_conversations_differ(dialogues: list[dict[str, Any]]) -> None:
    ids = [d["id"] for d in dialogues]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(KEY_PATTERN, i) for i in ids)
    texts = [m["content"] for d in dialogues for m in d["messages"]]
    assert len(set(texts)) == len(texts), "a message stands in two dialogues: no templates"


def test_languages_are_espeak_voice_files(dialogues: list[dict[str, Any]]) -> None:
    voices = {p.name for p in (Path(espeakng_loader.get_data_path()) / "lang").rglob("*")}
    counts = {
        language: sum(d["language"] == language for d in dialogues)
        for language in {d["language"] for d in dialogues}
    }
    assert set(counts) >= {"en", "de", "es", "fr", "it", "pt", "ru", "tr", "hi", "ar", "cmn"}
    assert set(counts) <= voices
    assert counts["en"] >= 30 and all(counts[x] >= 3 for x in ("de", "es", "fr", "it", "pt"))


def test_interruptions_come_after_a_long_assistant_turn(dialogues: list[dict[str, Any]]) -> None:
    pairs = [
        (before, turn)
        for d in dialogues
        for before, turn in zip(turns_of(d), turns_of(d)[1:], strict=False)
        if turn.interrupts
    ]
    assert len(pairs) >= 6
    for before, turn in pairs:
        assert (before.role, turn.role) == ("assistant", "user")
        assert len(spoken(before).split()) >= 40, turn.text


def test_structured_text_has_a_plain_spoken_form(dialogues: list[dict[str, Any]]) -> None:
    structured = re.compile(r"```|^\||^[-*] |^\d+\. ", re.MULTILINE)
    turns = [t for d in dialogues for t in turns_of(d) if t.role == "assistant"]
    marked = [t for t in turns if structured.search(t.text)]
    assert len(marked) >= 10
    assert all(t.say for t in marked)
    assert not any(re.search(r"[`|{}<>\n]", spoken(t)) for t in turns)


def test_runs_by_one_speaker_system_and_tool_turns_are_there(
    dialogues: list[dict[str, Any]],
) -> None:
    roles = [[t.role for t in turns_of(d)] for d in dialogues]
    assert sum(r[0] == "system" for r in roles) >= 2
    assert all("system" not in r[1:] for r in roles)
    assert any(a == b == "user" for r in roles for a, b in zip(r, r[1:], strict=False))
    assert any(a == b == "assistant" for r in roles for a, b in zip(r, r[1:], strict=False))
    results = [t.text for d in dialogues for t in turns_of(d) if t.role == "tool"]
    assert results and all(isinstance(json.loads(text), dict) for text in results)


# --- robot episodes ---------------------------------------------------------------------------


def test_totals_and_episode_ranges_cover_the_rows(
    info: dict[str, Any], rows: dict[str, np.ndarray], episodes: list[dict[str, Any]]
) -> None:
    assert info["codebase_version"] == "v3.0"
    assert info["total_episodes"] == len(episodes) >= 36
    assert info["total_frames"] == len(rows["index"])
    start = 0
    for number, episode in enumerate(episodes):
        assert episode["episode_index"] == number
        assert episode["dataset_from_index"] == start
        start = episode["dataset_to_index"]
        assert episode["length"] == start - episode["dataset_from_index"]
        assert 40 <= episode["length"] <= 120
    assert start == info["total_frames"]


def test_rows_hold_what_info_declares(
    info: dict[str, Any], rows: dict[str, np.ndarray], episodes: list[dict[str, Any]]
) -> None:
    for name, feature in info["features"].items():
        if feature["dtype"] != "video":
            width = () if feature["names"] is None else tuple(feature["shape"])
            assert rows[name].shape[1:] == width, name
            assert np.isfinite(rows[name]).all()
    assert np.array_equal(rows["index"], np.arange(info["total_frames"]))
    assert np.abs(rows["action"]).max() <= 1.0
    for e in episodes:
        part = slice(e["dataset_from_index"], e["dataset_to_index"])
        assert set(rows["episode_index"][part]) == {e["episode_index"]}
        assert np.array_equal(rows["frame_index"][part], np.arange(e["length"]))
        assert np.allclose(rows["timestamp"][part], np.arange(e["length"]) / info["fps"], atol=1e-6)


def test_video_has_one_frame_per_row_at_exact_times(
    info: dict[str, Any], episodes: list[dict[str, Any]], video: tuple[list[float], np.ndarray]
) -> None:
    times, frames = video
    assert frames.shape == (info["total_frames"], *info["features"][CAMERA]["shape"])
    assert times == [i / info["fps"] for i in range(len(times))]
    for e in episodes:
        first, last = (e[f"videos/{CAMERA}/{end}_timestamp"] for end in ("from", "to"))
        assert round(first * info["fps"]) == e["dataset_from_index"]
        assert round(last * info["fps"]) == e["dataset_to_index"]


def test_each_episode_begins_its_own_scene(
    episodes: list[dict[str, Any]], video: tuple[list[float], np.ndarray]
) -> None:
    """A cut lies exactly where one episode ends: the frame difference there beats all inside."""
    frames = video[1].astype(np.int16)
    jump = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))  # jump[i]: frame i to i + 1
    cuts = {e["dataset_from_index"] - 1 for e in episodes[1:]}
    inside = np.array([jump[i] for i in range(len(jump)) if i not in cuts])
    assert min(jump[i] for i in cuts) > inside.max()


def test_tasks_are_instructions_and_every_expert_moved_the_object(
    rows: dict[str, np.ndarray], episodes: list[dict[str, Any]]
) -> None:
    table = pq.read_table(ROBOT / "meta" / "tasks.parquet")
    assert table.column_names == ["task_index", "__index_level_0__"]  # as pandas writes an index
    tasks = dict(zip(*(table[c].to_pylist() for c in table.column_names), strict=True))
    assert len(tasks) >= 10 and all(len(t.split()) >= 3 for t in tasks.values())
    for e in episodes:
        part = slice(e["dataset_from_index"], e["dataset_to_index"])
        assert [tasks[i] for i in set(rows["task_index"][part])] == e["tasks"]
        moved_m = np.linalg.norm(
            rows["observation.state"][part][-1, 4:] - rows["observation.state"][part][0, 4:]
        )
        assert moved_m > 0.05, e["tasks"]


def test_stats_are_those_of_the_rows(rows: dict[str, np.ndarray]) -> None:
    stats = json.loads((ROBOT / "meta" / "stats.json").read_text(encoding="utf-8"))
    assert set(stats) == {*rows, CAMERA}
    for name in ("action", "observation.state"):
        assert np.allclose(stats[name]["mean"], rows[name].mean(0), atol=1e-6)
        assert np.allclose(stats[name]["max"], rows[name].max(0), atol=1e-6)


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "make_robot_episodes", EXAMPLES / "make_robot_episodes.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def test_the_script_writes_this_folder(
    tmp_path: Path,
    rows: dict[str, np.ndarray],
    episodes: list[dict[str, Any]],
    video: tuple[list[float], np.ndarray],
) -> None:
    """The committed folder, read and written again by the script: same layout, rows and index."""
    pytest.importorskip("pandas", reason="pandas is absent: the script's writer is not tested")
    script = load_script()
    parts = [slice(e["dataset_from_index"], e["dataset_to_index"]) for e in episodes]
    again = [
        script.Episode(
            e["tasks"][0],
            video[1][p],
            rows["observation.state"][p].astype(np.float32),
            rows["action"][p].astype(np.float32),
        )
        for e, p in zip(episodes, parts, strict=True)
    ]
    script.write_dataset(tmp_path / "again", again)
    names = sorted(p.relative_to(ROBOT) for p in ROBOT.rglob("*") if p.is_file())
    assert names == sorted(
        p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file()
    )
    for name in ("data/chunk-000/file-000.parquet", "meta/tasks.parquet"):
        assert pq.read_table(ROBOT / name).equals(pq.read_table(tmp_path / "again" / name)), name
    assert (ROBOT / "meta/info.json").read_bytes() == (
        tmp_path / "again/meta/info.json"
    ).read_bytes()


# --- the folder -------------------------------------------------------------------------------


def test_quickstart_config_is_accepted_and_names_these_files() -> None:
    path = EXAMPLES / "quickstart.yaml"
    config = Config.from_mapping(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)
    named = [s.path for e in config.sources for s in (e.dialogues, e.trajectories) if s]
    assert [EXAMPLES.parent / p for p in named] == [EXAMPLES / "data" / "dialogues.jsonl", ROBOT]


def test_the_folder_stays_small() -> None:
    size = sum(p.stat().st_size for p in EXAMPLES.rglob("*") if p.is_file())
    assert size < SIZE_LIMIT_BYTES
