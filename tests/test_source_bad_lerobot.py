"""Bad LeRobot input: one clear line each, and every good episode still comes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_source_lerobot import FRONT, Made, read, write_info, write_v2, write_v3, write_video

from generators.sources import open_episode, read_source
from generators.sources.folder import fill
from generators.sources.refusal import Refused
from schemas import Rejection, StrettoError, Trajectory
from schemas.config import SourceEntry, TrajectorySource

VIDEO = f"videos/chunk-000/{FRONT}/episode_000001.mp4"
ROWS = "data/chunk-000/episode_000001.parquet"
NAN = np.array([[0.0, 1.0]] * 11 + [[np.nan, 1.0]])


def column(**values: Any) -> Made:
    return Made(columns={name: list(value) for name, value in values.items()})


BAD = {
    "video shorter": (Made(frame_count=8), "the video has 8 frames, the episode has 12 rows"),
    "late and no frame": (Made(first_time_s=0.96, frame_count=20), "has no frame of its own"),
    "clock drifts": (Made(columns={"timestamp": np.arange(12) * 0.2}), "row 1 (timestamp 0.200 s)"),
    "NaN in time": (Made(columns={"timestamp": np.full(12, np.nan)}), "a timestamp is NaN"),
    "NaN": (column(action=NAN), "column `action` has NaN or infinity in row 11"),
    "over float32": (column(action=NAN[:11].tolist() + [[1e300, 0]]), "NaN or infinity in row 11"),
    "NaN in state": (Made(columns={"observation.state": list(NAN)}), "`observation.state` has NaN"),
    "ragged": (column(action=[[1.0]] * 11 + [[1.0, 2.0]]), "is ragged: 1 to 2 numbers a row"),
    "empty value": (column(action=[[1.0]] * 11 + [None]), "column `action` has empty values"),
    "text action": (column(action=["x"] * 12), "column `action` is string, not a vector"),
    "matrix": (column(action=[[[1.0]]] * 12), "not a vector of numbers"),
    "no rows": (
        Made(row_count=0, frame_count=3, columns={"action": [], "timestamp": []}),
        "the episode has no rows",
    ),
    "valid": (Made(tasks=["valid", "Valid."]), "no task is an instruction (tasks: 'valid', 'Val"),
    "no letters": (Made(tasks=["123 !"]), "no task is an instruction"),
    "no task": (Made(tasks=[]), "no task is an instruction (tasks: none)"),
}


def check_one_bad(got: list[Any], reason: str) -> Rejection:
    assert [t.record_id for t in got if isinstance(t, Trajectory)] == ["episode-0", "episode-2"]
    (bad,) = [r for r in got if isinstance(r, Rejection)]
    assert reason in bad.reason and bad.record_id == "episode-1" and bad.stage == "source"
    assert bad.status == "quarantined" and "\n" not in bad.line()
    return bad


@pytest.mark.parametrize("made,reason", BAD.values(), ids=BAD.keys())
def test_one_bad_episode_costs_one_record(tmp_path: Path, made: Made, reason: str) -> None:
    write_v2(tmp_path, [Made(), made, Made()])
    bad = check_one_bad(read(tmp_path), reason)
    assert bad.where == f"{tmp_path}/meta/episodes.jsonl:2"


def test_bad_files_of_one_episode(tmp_path: Path) -> None:
    good = write_v2(tmp_path / "good", [Made()] * 3)

    def broken(name: str, data: bytes | None) -> list[Any]:
        root = tmp_path / "broken"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(good, root)
        (root / name).unlink()
        if data is not None:
            (root / name).write_bytes(data)
        return read(root)

    video, rows = (good / VIDEO).read_bytes(), (good / ROWS).read_bytes()
    check_one_bad(broken(VIDEO, None), "No such file")
    check_one_bad(broken(VIDEO, b""), "camera front: ")
    check_one_bad(broken(VIDEO, b"no mp4" * 500), "not a readable MP4 video")
    check_one_bad(broken(VIDEO, video[: len(video) // 2]), "not a readable MP4 video")
    check_one_bad(broken(VIDEO, b"#EXTM3U\nfile:///etc/hostname\n"), "not a readable MP4 video")
    check_one_bad(broken(ROWS, None), "No such file")
    check_one_bad(broken(ROWS, rows[:100]), "not a readable Parquet file")


def test_no_action_column_names_those_that_are_there(tmp_path: Path) -> None:
    write_v2(tmp_path, [Made()] * 3)
    table = pq.read_table(tmp_path / ROWS)
    pq.write_table(table.rename_columns(["acts", *table.column_names[1:]]), tmp_path / ROWS)
    bad = check_one_bad(read(tmp_path), "has no column `action`; it has acts, observation.state")
    assert bad.fix == "map `action`"


def test_non_instructions_give_way_to_the_next_task(tmp_path: Path) -> None:
    tasks = ["valid", "take it", "and another"]
    write_v2(tmp_path, [Made(tasks=tasks), Made(tasks=["skip me"])])
    got, bad = read(tmp_path, non_instructions=("valid", "skip me"))
    assert got.instruction == "take it"
    assert got.notes == ("further tasks, not used: 'and another'",)
    assert "no task is an instruction" in bad.reason


def test_state_is_optional(tmp_path: Path) -> None:
    write_v2(tmp_path, [Made()])
    (got,) = read(tmp_path, state="nope")
    assert (got.state_dim, got.state_column) == (0, None)


def test_unused_inputs_are_listed_once(tmp_path: Path) -> None:
    video = {"dtype": "video", "shape": [32, 48, 3]}
    depth = video | {"info": {"video.is_depth_map": True}}
    features = {
        FRONT: video,
        "observation.images.gone": video,
        "observation.depth": depth,
        "observation.images.png": {"dtype": "image"},
    }
    write_v2(tmp_path, [Made()] * 2, features=features)
    extra = tmp_path / "data/chunk-000/episode_000009.parquet"
    shutil.copy(tmp_path / ROWS, extra)
    got = read(tmp_path)
    unused = {r.record_id: r.reason for r in got if isinstance(r, Rejection)}
    assert sum(isinstance(t, Trajectory) for t in got) == 2 and len(unused) == 4 == len(got) - 2
    assert "has no files" in unused["camera observation.images.gone"]
    assert "depth" in unused["camera observation.depth"]
    assert "images inside Parquet" in unused["camera observation.images.png"]
    assert "no episode in meta/ uses this file" in unused["file"]
    assert all(r.status == "unused" for r in got if isinstance(r, Rejection))
    with pytest.raises(StrettoError, match=r"no camera 'left'; cameras here: front, gone, depth"):
        read(tmp_path, cameras=("left",))
    with pytest.raises(StrettoError, match="observation.images.gone has no files"):
        read(tmp_path, cameras=("gone",))


def test_a_camera_that_one_episode_lacks(tmp_path: Path) -> None:
    write_v3(tmp_path, [Made()] * 3)
    path = tmp_path / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[1][f"videos/{FRONT}/chunk_index"] = None
    pq.write_table(pa.Table.from_pylist(rows), path)
    check_one_bad(read(tmp_path), "camera front: this episode has no video of it, others have")


def test_v3_video_and_rows_that_do_not_fit(tmp_path: Path) -> None:
    write_v3(tmp_path / "a", [Made(), Made(frame_count=8), Made()])
    check_one_bad(read(tmp_path / "a"), "the video has 8 frames, the episode has 12 rows")
    mixed = Made(columns={"episode_index": np.array([1] * 5 + [7] + [1] * 6)})
    write_v3(tmp_path / "b", [Made(), mixed, Made()])
    check_one_bad(read(tmp_path / "b"), "the episode's rows do not follow each other")
    nobody = Made(columns={"episode_index": np.full(12, 7)})
    write_v3(tmp_path / "c", [Made(), nobody, Made()])
    check_one_bad(read(tmp_path / "c"), "the episode has no rows")


def test_bad_lines_of_the_episode_list(tmp_path: Path) -> None:
    write_v2(tmp_path, [Made()] * 2)
    path = tmp_path / "meta" / "episodes.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text(
        "\n".join([first, '{"episode_index": ', "[]", '{"episode_index": "1"}', first, second])
    )
    got = read(tmp_path)
    assert [t.record_id for t in got if isinstance(t, Trajectory)] == ["episode-0", "episode-1"]
    reasons = [r.reason for r in got if isinstance(r, Rejection)]
    assert [r[:20] for r in reasons] == [
        "broken JSON in line ",
        "the episode is a lis",
        "`episode_index` is '",
        "an episode with this",
    ]
    path.write_text("")
    empty = read(tmp_path)[0]
    assert empty.reason == "the file is empty"


def test_folders_that_refuse_the_run(tmp_path: Path) -> None:
    with pytest.raises(StrettoError, match=r"meta/info.json is missing"):
        read(tmp_path)
    write_v2(tmp_path, [Made()])
    info = tmp_path / "meta" / "info.json"
    good = info.read_text()
    for text, words in (
        ("{", "broken JSON"),
        ("[]", "holds a list"),
        (good.replace("v2.1", "v1.6"), "'v1.6'; known: v2.0, v2.1, v3.0"),
        (good.replace('"fps": 10', '"fps": 0'), "`fps` is 0"),
        (good.replace('"data_path"', '"x"'), "`data_path` is None"),
        (good.replace('"v2.1"', '["v2.1"]'), "unknown codebase_version"),
    ):
        info.write_text(text)
        with pytest.raises(StrettoError, match=words) as caught:
            read(tmp_path)
        assert "\n" not in str(caught.value) and str(info) in str(caught.value)
    info.write_text(good)
    with pytest.raises(StrettoError, match="`idle_action` has 2 values, the action has 3"):
        read(tmp_path, idle_action=(0, 0))
    (tmp_path / "meta" / "episodes.jsonl").unlink()
    with pytest.raises(StrettoError, match="episodes.jsonl: the file is missing"):
        read(tmp_path)


@pytest.mark.parametrize(
    "template",
    [
        "../{episode_index:06d}.parquet",
        "/etc/passwd",
        "a/../../b",
        "{episode_index.__class__}",
        "{0}",
        "{episode_index!r}",
        "{other}",
        "a\x00b",
        "",
        "{episode_index:999999999d}",
        "c:\\x",
        "{video_key}/x.mp4",
    ],
)
def test_templates_stay_in_the_folder(tmp_path: Path, template: str) -> None:
    with pytest.raises(Refused):
        fill(template, episode_index=3, video_key="../up")
    write_v2(tmp_path, [Made()])
    if template != "{video_key}/x.mp4":
        write_info(tmp_path, "v2.1", 10, data_path=template)
        assert not any(isinstance(t, Trajectory) for t in read(tmp_path))


def test_a_video_that_changes_after_planning(tmp_path: Path) -> None:
    write_v2(tmp_path, [Made()] * 2)
    _, second = read(tmp_path)
    write_video(tmp_path / VIDEO, [100] * 5, 10)
    with pytest.raises(StrettoError, match="5 frames left, 12 wanted"):
        list(open_episode(second).frames("front"))
    with pytest.raises(StrettoError, match="no camera 'back'"):
        open_episode(second).frames("back")
    table = pq.read_table(tmp_path / ROWS)
    pq.write_table(table.slice(0, 4), tmp_path / ROWS)
    with pytest.raises(StrettoError, match="rows 0 to 12 are not there"):
        open_episode(second)


def test_a_damaged_picture_is_an_error_not_a_shift(tmp_path: Path) -> None:
    write_v2(tmp_path, [Made(row_count=30)], codec="h264")
    path = next((tmp_path / "videos").rglob("*.mp4"))
    (got,) = read(tmp_path)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    middle = start + (data.index(b"moov") - start) // 2
    data[middle : middle + 120] = bytes(120)
    path.write_bytes(data)
    with pytest.raises(StrettoError, match="decoded"):
        list(open_episode(got).frames("front"))
    assert json.loads(got.to_json())["step_count"] == 30


def test_unreadable_episode_entries_do_not_make_a_set_blind(tmp_path: Path, repo: Path) -> None:
    """The camera has its file: each episode is refused for its own fault, no camera is unused."""
    folder = tmp_path / "set"
    shutil.copytree(repo / "examples/data/metaworld", folder)
    path = next((folder / "meta/episodes").rglob("*.parquet"))
    table = pq.read_table(path)
    name = next(n for n in table.column_names if n.endswith("from_timestamp"))
    wrong = pa.array([-5.0] * table.num_rows, table.column(name).type)
    pq.write_table(table.set_column(table.column_names.index(name), name, wrong), path)
    entry = SourceEntry(trajectories=TrajectorySource(path=str(folder)))
    found = list(read_source(entry, "x"))
    faults = [r for r in found if isinstance(r, Rejection)]
    assert found == faults and len([r for r in faults if "from_timestamp" in r.reason]) >= 12
    assert not any("camera" in r.record_id for r in faults)
