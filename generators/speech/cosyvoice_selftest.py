"""Does decoding with a cache give what a full pass gives? Milliseconds, at every load.

From transformers 4.53 on, CosyVoice's one-step mask makes every step attend to position 0 alone.
Nothing fails; the audio is wrong. So the model is asked the same thing both ways.
"""

from __future__ import annotations

from typing import Any

STEPS = 8
# Rounding gives 5e-6 of the scale in float32; the fault gives several times the scale.
TOLERANCE = 0.01


def decode_fault(llm: Any) -> str | None:
    """What is wrong with `llm` (upstream's Qwen2LM or CosyVoice3LM); None when decoding is right."""
    import torch

    vectors = llm.speech_embedding.weight[:STEPS].unsqueeze(0)
    try:
        with torch.inference_mode():
            whole = _step(llm, vectors, None)[0]
            half = STEPS // 2
            last, cache = _step(llm, vectors[:, :half], None)
            for at in range(half, STEPS):
                last, cache = _step(llm, vectors[:, at : at + 1], cache)
    except Exception as problem:  # such as bfloat16 weights against float32 vectors in 5.x
        return f"its decoding fails ({type(problem).__name__}: {problem})"
    scale = float(whole.abs().max())
    off = float((whole[:, -1] - last[:, -1]).abs().max())
    if not off <= TOLERANCE * scale:
        return (
            f"decoding with a cache differs from a full pass by {off:.2g} at a scale of {scale:.2g}"
        )
    return None


def _step(llm: Any, vectors: Any, cache: Any) -> tuple[Any, Any]:
    """One call as upstream's inference makes it: hidden states and the new cache."""
    import torch

    size = vectors.shape[1]
    masks = torch.tril(torch.ones((1, size, size), device=vectors.device)).to(torch.bool)
    return llm.llm.forward_one_step(vectors, masks=masks, cache=cache)  # type: ignore[no-any-return]
