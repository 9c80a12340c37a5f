"""Roll out Meta-World's scripted experts and write them as one LeRobot v3.0 folder.

The result is committed in ``examples/data/metaworld``: nobody needs the simulator to run the
project. To make it again, on CPU, in a virtual environment of its own::

    apt-get install libosmesa6
    python3 -m venv /tmp/sim
    /tmp/sim/bin/pip install metaworld==3.1.1 mujoco==3.3.0 packaging pyarrow pandas av
    /tmp/sim/bin/python examples/make_robot_episodes.py --out examples/data/metaworld

Time: row i holds the frame and the state before the step, and the action that was taken there,
one row per environment step. The simulator runs at 80 steps/s (time step 2.5 ms, 5 of them per
step), in which the expert finishes in about one second. The rows are stored as 10 frames/s, that
is, 8 times slower than simulated, so that an episode lasts as long as a person talks about it.
Frames, states and actions stay consistent with each other; forces and speeds are not in the data.

Picture: camera ``corner4``, turned by 180 degrees (Meta-World's corner cameras hang upside down).
Seeds are fixed; pixels also depend on the versions above and on Mesa's software renderer.
Layout as written by ``lerobot`` 0.4 (codebase version v3.0), here with pyarrow and PyAV alone.
"""

import argparse
import json
import os
import shutil
import warnings
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "osmesa")  # read when mujoco is imported

import av
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

FPS = 10
SIZE_PX = 128
CAMERA = "corner4"
VIDEO_KEY = "observation.images.corner"
MAX_STEPS = 118
TAIL_STEPS = 10  # frames kept after success, so that the outcome is seen at rest
MIN_FRAMES = 40
STATE_NAMES = ["hand_x", "hand_y", "hand_z", "gripper", "object_x", "object_y", "object_z"]
ACTION_NAMES = ["delta_x", "delta_y", "delta_z", "gripper"]
CHUNK = "chunk-{chunk_index:03d}/file-{file_index:03d}"
FIRST = CHUNK.format(chunk_index=0, file_index=0)

# Environment, policy class, what a person would ask for. Three seeds each.
TASKS = (
    ("drawer-open-v3", "SawyerDrawerOpenV3Policy", "open the drawer"),
    ("drawer-close-v3", "SawyerDrawerCloseV3Policy", "close the drawer"),
    ("button-press-v3", "SawyerButtonPressV3Policy", "press the red button"),
    ("door-open-v3", "SawyerDoorOpenV3Policy", "open the door of the safe"),
    ("door-close-v3", "SawyerDoorCloseV3Policy", "close the door of the safe"),
    ("window-open-v3", "SawyerWindowOpenV3Policy", "slide the window open"),
    ("push-v3", "SawyerPushV3Policy", "push the red block to the green dot"),
    ("pick-place-v3", "SawyerPickPlaceV3Policy", "lift the red block to the blue dot"),
    ("faucet-open-v3", "SawyerFaucetOpenV3Policy", "open the tap"),
    ("faucet-close-v3", "SawyerFaucetCloseV3Policy", "close the tap"),
    ("handle-press-v3", "SawyerHandlePressV3Policy", "press the red handle down"),
    ("coffee-push-v3", "SawyerCoffeePushV3Policy", "push the mug under the coffee machine"),
    ("plate-slide-v3", "SawyerPlateSlideV3Policy", "push the puck into the goal"),
)
SEEDS = (14, 24, 3)  # the object at the right end, the left end and near the middle of its range


@dataclass(frozen=True)
class Episode:
    """One successful rollout: frames uint8 [T, H, W, 3], states [T, 7], actions [T, 4]."""

    task: str
    frames: np.ndarray
    states: np.ndarray
    actions: np.ndarray


def roll_out(env_name: str, policy_name: str, task: str, seed: int) -> Episode:
    """Run one expert until it has succeeded and rested; RuntimeError if it does not."""
    import gymnasium
    import metaworld.policies

    env = gymnasium.make(
        "Meta-World/MT1",
        env_name=env_name,
        seed=seed,
        render_mode="rgb_array",
        camera_name=CAMERA,
        width=SIZE_PX,
        height=SIZE_PX,
        disable_env_checker=True,
    )
    policy = getattr(metaworld.policies, policy_name)()
    observation, _ = env.reset(seed=seed)
    frames, states, actions, succeeded_at = [], [], [], None
    for step in range(MAX_STEPS):
        action = np.clip(policy.get_action(observation), -1.0, 1.0).astype(np.float32)
        frames.append(np.ascontiguousarray(env.render()[::-1, ::-1]))
        states.append(observation[:7].astype(np.float32))
        actions.append(action)
        observation, _, _, _, info = env.step(action)
        if succeeded_at is None and info["success"]:
            succeeded_at = step
        if succeeded_at is not None and step >= max(succeeded_at + TAIL_STEPS, MIN_FRAMES - 1):
            break
    env.close()
    if succeeded_at is None:
        raise RuntimeError(f"{env_name}, seed {seed}: no success in {MAX_STEPS} steps")
    return Episode(task, np.stack(frames), np.stack(states), np.stack(actions))


def write_video(path: Path, episodes: list[Episode]) -> None:
    """All episodes in one H.264 file, one thread (bytes then do not follow the core count)."""
    path.parent.mkdir(parents=True)
    with av.open(str(path), "w") as container:
        options = {"crf": "22", "preset": "slow", "g": "10", "bf": "0"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = SIZE_PX, SIZE_PX, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, FPS)
        for pts, picture in enumerate(f for episode in episodes for f in episode.frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def vectors(values: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def rows(episode: Episode, episode_index: int, start: int, task_index: int) -> dict[str, Any]:
    """The columns of one episode, in LeRobot's order (default features last)."""
    frame_index = np.arange(len(episode.actions), dtype=np.int64)
    return {
        "observation.state": episode.states,
        "action": episode.actions,
        "timestamp": (frame_index / FPS).astype(np.float32),
        "frame_index": frame_index,
        "episode_index": np.full_like(frame_index, episode_index),
        "index": start + frame_index,
        "task_index": np.full_like(frame_index, task_index),
    }


def feature_stats(columns: dict[str, np.ndarray], frames: np.ndarray) -> dict[str, dict[str, Any]]:
    """min, max, mean, std, count per feature; pictures per channel in [0, 1], shape [3, 1, 1]."""
    stats = {}
    for name, values in columns.items():
        table = values.reshape(len(values), -1).astype(np.float64)
        stats[name] = summarise(table, lambda row: row.tolist()) | {"count": [len(values)]}
    pixels = frames.reshape(-1, 3).astype(np.float64) / 255
    channels = summarise(pixels, lambda row: row.reshape(3, 1, 1).tolist())
    return stats | {VIDEO_KEY: channels | {"count": [len(frames)]}}


def summarise(table: np.ndarray, shape: Any) -> dict[str, Any]:
    parts = {"min": table.min(0), "max": table.max(0), "mean": table.mean(0), "std": table.std(0)}
    return {name: shape(row) for name, row in parts.items()}


def episode_row(episode: Episode, episode_index: int, start: int, stats: dict) -> dict[str, Any]:
    """One line of meta/episodes: where its rows and its frames lie."""
    end = start + len(episode.actions)
    row: dict[str, Any] = {
        "episode_index": episode_index,
        "tasks": [episode.task],
        "length": end - start,
        "data/chunk_index": 0,
        "data/file_index": 0,
        "dataset_from_index": start,
        "dataset_to_index": end,
        f"videos/{VIDEO_KEY}/chunk_index": 0,
        f"videos/{VIDEO_KEY}/file_index": 0,
        f"videos/{VIDEO_KEY}/from_timestamp": start / FPS,
        f"videos/{VIDEO_KEY}/to_timestamp": end / FPS,
    }
    for feature, parts in stats.items():
        row |= {f"stats/{feature}/{part}": value for part, value in parts.items()}
    return row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}


def info(episodes: list[Episode], task_count: int) -> dict[str, Any]:
    def plain(dtype: str, names: list[str] | None) -> dict[str, Any]:
        return {"dtype": dtype, "shape": [len(names or "1")], "names": names}

    video = {
        "video.height": SIZE_PX,
        "video.width": SIZE_PX,
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": FPS,
        "video.channels": 3,
        "has_audio": False,
    }
    picture = {
        "dtype": "video",
        "shape": [SIZE_PX, SIZE_PX, 3],
        "names": ["height", "width", "channels"],
        "info": video,
    }
    integers = ("frame_index", "episode_index", "index", "task_index")
    return {
        "codebase_version": "v3.0",
        "robot_type": "sawyer",
        "total_episodes": len(episodes),
        "total_frames": sum(len(e.actions) for e in episodes),
        "total_tasks": task_count,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 500,
        "fps": FPS,
        "splits": {"train": f"0:{len(episodes)}"},
        "data_path": f"data/{CHUNK}.parquet",
        "video_path": f"videos/{{video_key}}/{CHUNK}.mp4",
        "features": {
            VIDEO_KEY: picture,
            "observation.state": plain("float32", STATE_NAMES),
            "action": plain("float32", ACTION_NAMES),
            "timestamp": plain("float32", None),
            **{name: plain("int64", None) for name in integers},
        },
    }


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=4) + "\n", encoding="utf-8")


def write_table(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="snappy")


def write_dataset(out: Path, episodes: list[Episode]) -> None:
    """Write the folder anew: data, video and the five files of meta."""
    shutil.rmtree(out, ignore_errors=True)
    tasks = list(dict.fromkeys(episode.task for episode in episodes))
    columns, lines, start = [], [], 0
    for number, episode in enumerate(episodes):
        columns.append(rows(episode, number, start, tasks.index(episode.task)))
        lines.append(
            episode_row(episode, number, start, feature_stats(columns[-1], episode.frames))
        )
        start += len(episode.actions)
    whole = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
    arrays = {k: vectors(v) if v.ndim == 2 else pa.array(v) for k, v in whole.items()}
    write_table(out / "data" / f"{FIRST}.parquet", pa.table(arrays))
    write_table(out / "meta" / "episodes" / f"{FIRST}.parquet", pa.Table.from_pylist(lines))
    pd.DataFrame({"task_index": range(len(tasks))}, index=tasks).to_parquet(
        out / "meta" / "tasks.parquet"
    )
    write_json(out / "meta" / "info.json", info(episodes, len(tasks)))
    frames = np.concatenate([episode.frames for episode in episodes])
    write_json(out / "meta" / "stats.json", feature_stats(whole, frames))
    write_video(out / "videos" / VIDEO_KEY / f"{FIRST}.mp4", episodes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write (replaced)")
    out = parser.parse_args().out
    if out.exists() and not (out / "meta" / "info.json").exists():
        parser.error(f"{out} exists and is no LeRobot folder: name another one")
    warnings.filterwarnings("ignore", message="Constant", module="metaworld")
    episodes = []
    for env_name, policy_name, task in TASKS:
        for seed in SEEDS:
            episodes.append(roll_out(env_name, policy_name, task, seed))
            print(f"{env_name} seed {seed}: {len(episodes[-1].actions)} frames", flush=True)
    write_dataset(out, episodes)


if __name__ == "__main__":
    main()
