"""LeRobot folders written here, v2.0, v2.1 and v3.0, with H.264, AV1 and MJPEG, and a real one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from generators.sources import input_files, open_episode, read_source
from schemas import Rejection, Trajectory
from schemas.config import SourceEntry

FRONT = "observation.images.front"
ENCODERS = {"h264": "libx264", "av1": "libsvtav1", "mjpeg": "mjpeg"}


@dataclass(frozen=True)
class Made:
    """One episode to write: `brightness` per frame marks each frame for the test."""

    task: str = "Open the drawer."
    row_count: int = 12
    first_time_s: float = 0.0
    frame_count: int | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    tasks: list[str] | None = None

    def rows(self, index: int, fps: float) -> dict[str, Any]:
        steps = np.arange(self.row_count)
        action = np.stack([steps + 100 * index, steps * 0.5, -steps], 1).astype(np.float32)
        times = (self.first_time_s + steps / fps).astype(np.float32)
        return {
            "action": list(action),
            "observation.state": list(action[:, :2]),
            "timestamp": times,
            "episode_index": np.full(self.row_count, index),
            "task_index": np.zeros(self.row_count, int),
        } | self.columns

    def grey(self, index: int) -> list[int]:
        """The grey level of each frame: 10 apart from its neighbours, different in episodes."""
        count = self.row_count if self.frame_count is None else self.frame_count
        return [40 + (30 * index + 10 * i) % 160 for i in range(count)]


def write_video(
    path: Path, greys: list[int], fps: float, codec: str = "mjpeg", bf: int = 0
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        options = {"h264": {"bf": str(bf), "g": "8"}, "av1": {"preset": "10"}}.get(codec, {})
        stream = container.add_stream(ENCODERS[codec], rate=Fraction(fps), options=options)
        stream.width, stream.height = 48, 32
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.thread_count = 1
        for number, grey in enumerate(greys):
            picture = np.full((32, 48, 3), grey, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, 1 / Fraction(fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_info(root: Path, version: str, fps: float, **change: Any) -> None:
    file = {"v3.0": "chunk-{chunk_index:03d}/file-{file_index:03d}"}.get(
        version, "chunk-{episode_chunk:03d}/episode_{episode_index:06d}"
    )
    cameras = "{video_key}/" + file if version == "v3.0" else file.replace("/", "/{video_key}/")
    vector = {"dtype": "float32", "shape": [3], "names": {"motors": ["x", "y", "z"]}}
    info = {
        "codebase_version": version,
        "robot_type": "Test Arm",
        "fps": fps,
        "chunks_size": 1000,
        "data_path": f"data/{file}.parquet",
        "video_path": f"videos/{cameras}.mp4",
        "features": {FRONT: {"dtype": "video", "shape": [32, 48, 3]}, "action": vector},
    }
    (root / "meta").mkdir(parents=True, exist_ok=True)
    (root / "meta" / "info.json").write_text(json.dumps(info | change))


def write_v2(
    root: Path,
    episodes: list[Made],
    version: str = "v2.1",
    fps: float = 10,
    codec: str = "mjpeg",
    **info: Any,
) -> Path:
    write_info(root, version, fps, **info)
    lines = []
    for index, episode in enumerate(episodes):
        name = f"chunk-000/episode_{index:06d}.parquet"
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(episode.rows(index, fps)), root / "data" / name)
        video = root / "videos" / "chunk-000" / FRONT / f"episode_{index:06d}.mp4"
        write_video(video, episode.grey(index), fps, codec)
        tasks = [episode.task] if episode.tasks is None else episode.tasks
        lines.append({"episode_index": index, "tasks": tasks, "length": episode.row_count})
    (root / "meta" / "episodes.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    (root / "meta" / "tasks.jsonl").write_text('{"task_index": 0, "task": "x"}\n')
    return root


def write_v3(
    root: Path,
    episodes: list[Made],
    fps: float = 10,
    codec: str = "mjpeg",
    bf: int = 0,
    **info: Any,
) -> Path:
    write_info(root, "v3.0", fps, **info)
    parts, lines, greys, start, tasks = [], [], [], 0, [e.task for e in episodes]
    for index, episode in enumerate(episodes):
        parts.append(pa.table(episode.rows(index, fps)))
        place = {"chunk_index": 0, "file_index": 0}
        video = place | {"from_timestamp": len(greys) / fps}
        greys += episode.grey(index)
        video["to_timestamp"] = len(greys) / fps
        lines.append(
            {
                "episode_index": index,
                "tasks": [episode.task],
                "length": episode.row_count,
                "dataset_from_index": start,
                "stats/action/mean": [0.0],
            }
            | {f"data/{k}": v for k, v in place.items()}
            | {f"videos/{FRONT}/{k}": v for k, v in video.items()}
        )
        start += episode.row_count
    for name in ("data", "meta/episodes"):
        (root / name / "chunk-000").mkdir(parents=True)
    # row groups of 5 rows: an episode begins inside one
    pq.write_table(
        pa.concat_tables(parts), root / "data/chunk-000/file-000.parquet", row_group_size=5
    )
    pq.write_table(pa.Table.from_pylist(lines), root / "meta/episodes/chunk-000/file-000.parquet")
    index = pd.Index(list(dict.fromkeys(tasks)), name="task")
    pd.DataFrame({"task_index": range(len(index))}, index=index).to_parquet(
        root / "meta/tasks.parquet"
    )
    write_video(root / "videos" / FRONT / "chunk-000/file-000.mp4", greys, fps, codec, bf)
    return root


def read(root: Path, **fields: Any) -> list[Any]:
    entry = SourceEntry(trajectories={"path": str(root), **fields})  # type: ignore[arg-type]
    return list(read_source(entry, "arm"))


def check_episode(trajectory: Trajectory, index: int, made: Made, first_frame: int = 0) -> None:
    """Rows and frames are those written for this episode, each frame known by its grey level."""
    episode = open_episode(trajectory)
    assert episode.action.dtype == np.float32 and episode.action.flags.c_contiguous
    assert np.array_equal(episode.action, np.stack(made.rows(index, 10)["action"]))
    assert episode.state is not None and episode.state.shape == (made.row_count, 2)
    frames = list(episode.frames("front"))
    assert all(f.shape == (32, 48, 3) and f.dtype == np.uint8 for f in frames)
    wanted = made.grey(index)[first_frame : first_frame + made.row_count]
    # neighbours are 10 apart, codecs err by 1 to 3
    assert np.abs(np.array([f.mean() for f in frames]) - wanted).max() < 4


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("version", ["v2.0", "v2.1", "v3.0"])
def test_versions_and_codecs(tmp_path: Path, version: str, codec: str) -> None:
    made = [Made(), Made(task="close it", row_count=17), Made(row_count=9)]
    if version == "v3.0":
        write_v3(tmp_path, made, codec=codec, bf=2)  # with B-frames, too
    else:
        write_v2(tmp_path, made, version, codec=codec)
    got = read(tmp_path)
    assert [type(t) for t in got] == [Trajectory] * 3
    for index, trajectory in enumerate(got):
        check_episode(trajectory, index, made[index])
    first, second, third = got
    assert (second.instruction, second.step_count, second.fps) == ("close it", 17, 10)
    assert first.group == third.group == "open the drawer" != second.group
    assert first.subset == "robot-test-arm-a3-s2-front-48x32" == third.subset
    assert first.action_names == ("x", "y", "z") and first.state_names == ()
    assert len({t.key for t in got}) == 3 and all(t.notes == () for t in got)
    assert read(tmp_path) == got
    starts = [t.row_start for t in got]
    assert starts == ([0, 12, 29] if version == "v3.0" else [0, 0, 0])


def test_config_overrides(tmp_path: Path) -> None:
    write_v2(tmp_path, [Made(), Made()])
    (got,) = read(
        tmp_path,
        clock={"fps": 5},
        state=None,
        language="de",
        licence="MIT",
        limit=1,
        idle_action=(0, 0, 1),
        cameras=("front",),
    )
    assert (got.fps, got.videos[0].fps, got.state_dim, got.state_column) == (5, 5, 0, None)
    assert (got.language, got.licence, got.idle_action) == ("de", "MIT", (0, 0, 1))
    assert got.notes == ("fps 5 by the config's clock, 10 in info.json",)
    assert got.subset == "robot-test-arm-a3-front-48x32"
    assert open_episode(got).state is None


def test_relative_paths_stay_relative(tmp_path: Path, monkeypatch: Any) -> None:
    write_v2(tmp_path / "set", [Made()])
    monkeypatch.chdir(tmp_path)
    (got,) = read(Path("set"))
    assert got.rows_path == "set/data/chunk-000/episode_000000.parquet"
    assert got.videos[0].path.startswith("set/videos/")
    entry = SourceEntry(trajectories={"path": "set"})  # type: ignore[arg-type]
    names = [str(f) for f in input_files(entry)]
    assert len(names) == 5 and "set/meta/info.json" in names and names[0] == got.rows_path


def test_scalar_action_and_no_video(tmp_path: Path) -> None:
    column = {"action": np.arange(12.0), "observation.state": np.arange(12)}
    write_v2(tmp_path, [Made(columns=column)], features={"action": {"names": None}})
    (got,) = read(tmp_path)
    assert (got.action_dim, got.state_dim, got.videos) == (1, 1, ())
    assert got.subset == "robot-test-arm-a1-s1-blind"
    assert open_episode(got).action.tolist() == [[float(i)] for i in range(12)]


def test_late_timestamps_with_equal_counts_go_by_index(tmp_path: Path) -> None:
    made = replace(Made(), first_time_s=0.1)
    write_v2(tmp_path, [made])
    (got,) = read(tmp_path)
    check_episode(got, 0, made)
    assert got.notes == (
        "camera front: timestamps start at 0.100 s while the video starts at 0: aligned by index",
    )


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_late_timestamps_with_more_frames_go_by_time(tmp_path: Path, version: str) -> None:
    late = Made(first_time_s=0.3, frame_count=20)
    write = write_v3 if version == "v3.0" else write_v2
    write(tmp_path, [Made(), late, Made()])
    got = read(tmp_path)
    check_episode(got[0], 0, Made())
    check_episode(got[1], 1, late, first_frame=3)
    check_episode(got[2], 2, Made())
    assert "8 of 20 frames have no row" in got[1].notes[0] and "row 0 is frame 3" in got[1].notes[0]


def test_gr1_real_data(shared_dir: Path) -> None:
    root = shared_dir / "data" / "gr1_lerobot_v20"
    camera, *got = read(root)
    assert isinstance(camera, Rejection) and camera.status == "unused"
    assert camera.record_id == "camera observation.images.egoview"
    lines = [json.loads(x) for x in (root / "meta/episodes.jsonl").read_text().splitlines()]
    assert [(t.instruction, t.step_count) for t in got] == [
        (e["tasks"][0], e["length"]) for e in lines
    ]
    assert all("start at 0.050 s" in t.notes[0] and len(t.notes) == 1 for t in got)
    assert {t.subset for t in got} == {"robot-gr1armsonly-a44-s44-ego-view-256x256"}
    episode = open_episode(got[4])
    assert episode.action.shape == (328, 44) and np.isfinite(episode.action).all()
    frames = list(episode.frames("ego-view"))
    assert len(frames) == 328 and frames[0].shape == (256, 256, 3)
    with av.open(got[4].videos[0].path) as container:  # plain decoding, all frames from the start
        plain = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert all(np.array_equal(a, b) for a, b in zip(frames, plain, strict=True))
