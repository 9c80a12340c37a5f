"""A short run on the example corpus: real dialogues and robot episodes, held-out samples.

The full figures are in docs/training.md (`python -m benchmarks.learning`): after 400 steps every lane
is below its unigram entropy and the right listen wins. These are what a minute of training must
already show, with room to spare: after 100 steps the text lane has barely got to its entropy and the
listen control is still undecided (seed 7: write 4.78 to 4.81, decide 0.50 to 0.52).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs import fit, generate
from schemas.config import Config
from trainer.config import TrainConfig
from trainer.loop import train

STEPS = 100
SCHEMA = "ellsa-speech"  # text, speech and actions
Report = dict[str, Any]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Report:
    """The held-out report of `STEPS` steps of examples/train_quickstart.yaml."""
    folder = tmp_path_factory.mktemp("examples")
    corpus, config = str(folder / "corpus"), "examples/quickstart.yaml"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repo)  # the config's paths are relative to the repository
        # the check reads the audio and changes no sample: tested elsewhere
        assert generate.run(config, corpus, settings=("checks.vad=false",)) == 0
        assert fit.run(config, corpus, schema=SCHEMA) == 0
    data = yaml.safe_load((repo / "examples" / "train_quickstart.yaml").read_text())
    data |= {"corpus": corpus, "out": str(folder / "run"), "steps": STEPS, "device": "cpu"}
    # a minute on the full stream reads each token once; under the view it reads it 2.5 times
    data |= {"schema": SCHEMA, "view": "full"}
    found = train(TrainConfig.from_mapping(data, "test"), lambda line: None).report
    assert found is not None
    return found


@pytest.mark.slow
def test_every_lane_beats_a_uniform_guess_among_its_own_ids(report: Report, repo: Path) -> None:
    """A lane's own ids, not the whole vocabulary: to know which lane it is in is not enough."""
    data = yaml.safe_load((repo / "examples" / "quickstart.yaml").read_text())
    sizes = Config.from_mapping(data, "quickstart.yaml").codecs
    ids = {"write": sizes.text_vocab, "speak": sizes.audio_entries, "act": sizes.action_vocab}
    assert set(report["lanes"]) == set(ids)
    for name, count in ids.items():
        lane = report["lanes"][name]
        assert lane["content_loss"] < math.log(count) - 0.3, (name, lane)
        assert lane["content_tokens"] > 1000, "too few to say"


@pytest.mark.slow
def test_speech_is_far_below_its_unigram_entropy(report: Report) -> None:
    lane = report["lanes"]["speak"]
    assert lane["loss"] < lane["unigram"] - 0.8
    assert lane["content_loss"] < lane["content_unigram"] - 0.8


@pytest.mark.slow
def test_enough_decisions_are_held_out_for_the_listen_control(report: Report) -> None:
    """What the control says takes more steps than a test has: see docs/training.md."""
    control = report["listen_control"]
    assert control["begin"]["blocks"] >= 20 and control["stay"]["blocks"] >= 60
    assert all(0 < c[side] < 8 for c in control.values() for side in ("right", "wrong"))
