"""The checkout and the model folder: are they whole, which version is it, what shapes the audio.

`Home(checkout, model_dir)` is found by `find_home(options)`, which refuses with the next step when a
part is missing. Nothing here imports CosyVoice or torch, and nothing is downloaded.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from pathlib import Path

from schemas.config.cosyvoice import CosyVoiceConfig
from schemas.errors import StrettoError

CLONE = "git clone --recursive https://github.com/FunAudioLLM/CosyVoice"
# What `import cosyvoice.cli.cosyvoice` and the model's YAML import, and how pip calls it.
MODULES = {
    "torch": "torch",
    "torchaudio": "torchaudio",
    "transformers": "transformers",
    "hyperpyyaml": "HyperPyYAML",
    "modelscope": "modelscope",
    "onnxruntime": "onnxruntime",
    "whisper": "openai-whisper",
    "inflect": "inflect",
    "omegaconf": "omegaconf",
    "conformer": "conformer",
    "diffusers": "diffusers",
    "einops": "einops",
    "hydra": "hydra-core",
    "lightning": "lightning",
    "gdown": "gdown",
    "wget": "wget",
    "librosa": "librosa",
    "tqdm": "tqdm",
    "regex": "regex",
    "matplotlib": "matplotlib",
    "pyarrow": "pyarrow",
    "pyworld": "pyworld",
    "pkg_resources": "'setuptools<81'",
}
# Their versions shape the audio: decoding, drawing, prompt features, the text's normaliser.
SHAPING = ("torch", "torchaudio", "transformers", "diffusers", "onnxruntime", "wetext", "soxr")
HEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Home:
    """A checkout, a model folder and the model's version, 2 or 3."""

    checkout: Path
    model_dir: Path
    version: int

    @property
    def matcha(self) -> Path:
        """Where Matcha-TTS lies: it is imported too."""
        return self.checkout / "third_party" / "Matcha-TTS"


def find_home(options: CosyVoiceConfig) -> Home:
    """The checkout and the model, whole. StrettoError with the next step otherwise."""
    named = options.home or os.environ.get("COSYVOICE_HOME")
    if not named:
        raise StrettoError(
            "no CosyVoice checkout",
            "speech.cosyvoice.home",
            f"{CLONE}, then set it or the environment's COSYVOICE_HOME",
        )
    checkout = Path(named).expanduser().resolve()
    if not (checkout / "cosyvoice" / "cli" / "cosyvoice.py").is_file():
        raise StrettoError("not a CosyVoice checkout", str(checkout), CLONE)
    if not (checkout / "third_party" / "Matcha-TTS" / "matcha").is_dir():
        raise StrettoError(
            "third_party/Matcha-TTS is empty",
            str(checkout),
            "git submodule update --init --recursive",
        )
    model_dir = Path(options.model_dir).expanduser().resolve() if options.model_dir else None
    if model_dir is None or not model_dir.is_dir():
        raise StrettoError(
            "no such model folder: nothing is downloaded",
            f"speech.cosyvoice.model_dir {options.model_dir!r}",
            "give the folder of CosyVoice2-0.5B or Fun-CosyVoice3-0.5B",
        )
    return Home(checkout, model_dir, _model_version(model_dir))


def _model_version(model_dir: Path) -> int:
    """2 or 3, by the YAML's name; every file that loading needs must be there."""
    for version in (2, 3):
        if (model_dir / f"cosyvoice{version}.yaml").is_file():
            names = ["llm.pt", "flow.pt", "hift.pt", "campplus.onnx", "CosyVoice-BlankEN"]
            for name in (*names, f"speech_tokenizer_v{version}.onnx"):
                if not (model_dir / name).exists():
                    raise StrettoError(f"{name} is missing", str(model_dir), "complete the model")
            return version
    raise StrettoError(
        "no cosyvoice2.yaml or cosyvoice3.yaml in the model folder",
        str(model_dir),
        "use a model of version 2 or 3",
    )


def check_packages(version: int) -> None:
    """StrettoError naming what pip must install in this environment."""
    wanted = MODULES | ({"x_transformers": "x-transformers"} if version == 3 else {})
    missing = [package for module, package in wanted.items() if find_spec(module) is None]
    if missing:
        raise StrettoError(
            f"this environment lacks what CosyVoice imports: {', '.join(missing)}",
            fix=f"pip install {' '.join(missing)}, or use an environment as in docs/cosyvoice.md",
        )


def package_versions() -> dict[str, str]:
    """The installed versions that shape the audio; `none` for what isn't there."""
    return {name: _installed(name) for name in SHAPING}


def _installed(name: str) -> str:
    try:
        return installed_version(name)
    except PackageNotFoundError:
        return "none"


def code_version(home: Home) -> str:
    """The checkout's commit, if it has one, and a hash of the Python that runs: edits count."""
    seen = blake2b(digest_size=6)
    for root in (home.checkout / "cosyvoice", home.matcha / "matcha"):
        for path in sorted(root.rglob("*.py")):
            seen.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return f"{_commit(home.checkout)}{seen.hexdigest()}"


def _commit(checkout: Path) -> str:
    if not (checkout / ".git").exists():
        return ""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"@{asked.stdout.strip()} "


def model_hash(home: Home) -> str:
    """Hex hash of the model's files: name, size, first and last MiB (llm.pt alone has 2 GB)."""
    seen = blake2b(digest_size=8)
    for path in _model_files(home):
        size = path.stat().st_size
        seen.update(f"{path.relative_to(home.model_dir)}\0{size}\0".encode())
        with path.open("rb") as file:
            seen.update(file.read(HEAD_BYTES))
            file.seek(max(0, size - HEAD_BYTES))
            seen.update(file.read(HEAD_BYTES))
    return seen.hexdigest()


def _model_files(home: Home) -> list[Path]:
    """The files that are read: not what TensorRT or vLLM write beside them."""
    parts = {"llm.pt", "flow.pt", "hift.pt", "spk2info.pt", "campplus.onnx"}
    parts |= {f"cosyvoice{home.version}.yaml", f"speech_tokenizer_v{home.version}.onnx"}
    files = [home.model_dir / name for name in parts]
    files += (home.model_dir / "CosyVoice-BlankEN").rglob("*")
    return sorted(path for path in files if path.is_file())
