"""Builds a small model folder for the real CosyVoice classes, with random weights.

python tests/cosyvoice_model.py FOLDER HOME VERSION, in CosyVoice's own environment. The architecture is the
release's YAML with smaller sizes; the tokenizer is trained here and padded so that the special
tokens get the ids that the code has built in; the two ONNX graphs have a few nodes. `STOPS` makes
the random LLM end a sentence at a random length instead of never.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

# `<|endoftext|>` .. `<|endofprompt|>` must get 151643 .. 151646: version 3 has 151646 in its code.
TEXT_VOCAB, EMBEDDINGS = 151643, 151936
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
SPEECH_TOKENS = 6561
HIDDEN = 64
COMMON = {
    "llm_input_size": HIDDEN,
    "llm_output_size": HIDDEN,
    "base_channels": 64,
    "cond_channels": 32,
}
SMALLER: dict[int, dict[str, Any]] = {
    2: COMMON
    | {
        "linear_units": 64,
        "num_blocks": 1,
        "channels": "[64]",
        "n_blocks": 1,
        "num_mid_blocks": 1,
        "num_heads": 2,
        "attention_head_dim": 16,
    },
    3: COMMON | {"channels": 64, "dim": 64, "depth": 1, "heads": 2, "dim_head": 32},
}
# How much a stop token's logit is lifted: by a bias in version 2, by a bigger row in version 3.
STOPS = {2: 6.0, 3: 0.9}


def build(folder: Path, home: Path, version: int) -> None:
    """Write the whole model folder. Needs torch, transformers, tokenizers, onnx, HyperPyYAML."""
    import torch

    folder.mkdir(parents=True)
    _language_model(folder / "CosyVoice-BlankEN")
    text = _smaller_yaml(home, version)
    (folder / f"cosyvoice{version}.yaml").write_text(text, encoding="utf-8")
    _weights(folder, text, version)
    _graphs(folder, version)
    torch.save({"robot": {"embedding": torch.randn(1, 192)}}, folder / "spk2info.pt")


def _smaller_yaml(home: Path, version: int) -> str:
    """The release's architecture, each named size replaced. A size that is not there is an error."""
    name = f"cosyvoice{version}"
    text = (home / f"examples/libritts/{name}/conf/{name}.yaml").read_text(encoding="utf-8")
    for key, value in SMALLER[version].items():
        text, count = re.subn(rf"^(\s*{key}: ).*$", rf"\g<1>{value}", text, flags=re.M)
        assert count, f"{name}.yaml has no {key}"
    return text


def _language_model(folder: Path) -> None:
    """A tiny Qwen2 with a byte-level BPE tokenizer trained on a few sentences."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder.mkdir()
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(["Hello there, how are you today? I am well."] * 4, 320)
    trained.save_model(str(folder))
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    vocab |= {f"<pad{at}>": at for at in range(len(vocab), TEXT_VOCAB)}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    added = {str(TEXT_VOCAB + at): {"content": token, "special": True, "lstrip": False,
             "rstrip": False, "normalized": False, "single_word": False}
             for at, token in enumerate(SPECIAL)}  # fmt: skip
    settings = {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": added,
                "eos_token": SPECIAL[0], "pad_token": SPECIAL[0], "unk_token": None,
                "bos_token": None, "model_max_length": 32768}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    torch.manual_seed(1)
    sizes = Qwen2Config(vocab_size=EMBEDDINGS, hidden_size=HIDDEN, intermediate_size=128,
                        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                        rope_theta=1e6, tie_word_embeddings=True,
                        initializer_range=0.2)  # fmt: skip
    Qwen2ForCausalLM(sizes).save_pretrained(folder)


def _weights(folder: Path, text: str, version: int) -> None:
    """llm.pt, flow.pt and hift.pt: state dicts of the real classes."""
    import torch
    from hyperpyyaml import load_hyperpyyaml

    language_model = str(folder / "CosyVoice-BlankEN")
    parts = load_hyperpyyaml(text, overrides={"qwen_pretrain_path": language_model})
    torch.manual_seed(2)
    _stop_sometimes(parts["llm"].llm_decoder, version)
    for name in ("llm", "flow", "hift"):
        torch.save(parts[name].state_dict(), folder / f"{name}.pt")


def _stop_sometimes(decoder: Any, version: int) -> None:
    """Wide logits, so that sampling is not degenerate, and a chance to stop at each step."""
    import torch

    with torch.no_grad():
        decoder.weight.normal_(std=0.5)
        if version == 2:
            decoder.bias.zero_()
            decoder.bias[SPEECH_TOKENS:] = -100.0
            decoder.bias[SPEECH_TOKENS] = STOPS[2]
        else:  # no bias there, and 200 ids stop: one row is lifted, the others do nothing
            decoder.weight[SPEECH_TOKENS:] = 0.0
            decoder.weight[SPEECH_TOKENS + 1].normal_(std=STOPS[3])


def _graphs(folder: Path, version: int) -> None:
    """Stand-ins with the inputs and outputs of the speaker encoder and the speech tokenizer."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper
    from onnx.numpy_helper import from_array

    def save(name: str, nodes: list[Any], ins: list[Any], out: Any, constants: Any) -> None:
        graph = helper.make_graph(nodes, "stand-in", ins, [out], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 10
        onnx.checker.check_model(model)
        onnx.save(model, str(folder / name))

    info, node = helper.make_tensor_value_info, helper.make_node
    matrix = np.random.default_rng(3).standard_normal((80, 192)).astype(np.float32)
    save(
        "campplus.onnx",
        [node("ReduceMax", ["feats"], ["most"], axes=[1], keepdims=0),
         node("MatMul", ["most", "matrix"], ["embedding"])],
        [info("feats", TensorProto.FLOAT, [1, "T", 80])],
        info("embedding", TensorProto.FLOAT, [1, 192]),
        [from_array(matrix, "matrix")],
    )  # fmt: skip
    save(
        f"speech_tokenizer_v{version}.onnx",
        [node("ReduceMean", ["feats"], ["level"], axes=[1], keepdims=0),
         node("Slice", ["level", "zero", "end", "one", "four"], ["every"]),
         node("Mul", ["every", "scale"], ["big"]), node("Abs", ["big"], ["positive"]),
         node("Cast", ["positive"], ["whole"], to=TensorProto.INT64),
         node("Mod", ["whole", "size"], ["indices"])],
        [info("feats", TensorProto.FLOAT, [1, 128, "T"]),
         info("feats_length", TensorProto.INT32, [1])],
        info("indices", TensorProto.INT64, [1, "T4"]),
        [from_array(np.array([value], kind), name) for name, value, kind in (
            ("zero", 0, np.int64), ("end", 1 << 40, np.int64), ("one", 1, np.int64),
            ("four", 4, np.int64), ("scale", 5000.0, np.float32),
            ("size", SPEECH_TOKENS, np.int64))],
    )  # fmt: skip


if __name__ == "__main__":
    checkout = Path(sys.argv[2])
    sys.path[:0] = [str(checkout), str(checkout / "third_party/Matcha-TTS")]
    build(Path(sys.argv[1]), checkout, int(sys.argv[3]))
