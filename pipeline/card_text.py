"""The parts of a data card as Markdown: tables and sentences from the statistics and dataset.json.

Functions of `pipeline.stats.corpus_stats` or of `dataset.json` (`about`); `pipeline.card` puts them
into the template. Text of the corpus is escaped: it may be anything.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline import check_report

REASONS = 12
BEHAVIOURS = {
    "act_on_instruction": "the robot holds still while it is told its task, then does it",
    "backchannel": "the assistant says a word like mhm while the user goes on",
    "background_speech": "somebody else speaks in the background, to nobody here",
    "barge_in": "the user begins to speak inside a reply",
    "cough": "a cough or the like while the assistant speaks; it goes on",
    "dead_air": "nobody speaks for some seconds",
    "early_answer": "the assistant opens its answer before it knows that the user goes on",
    "failed_barge_in": "the user begins to interrupt and gives up; the assistant goes on",
    "false_start": "the user begins a sentence twice",
    "filler": "the user says um or the like",
    "hesitation": "the user stops in the middle of a sentence; the assistant waits",
    "late_overlap": "the user comes in early and cuts the assistant's last words",
    "opener": "the assistant says a word like okay before its answer",
    "partial_thoughts": "the assistant notes what it understands while the user still speaks",
    "proactive": "the assistant makes a remark that nobody asked for",
    "self_correction": "the user says another number or day first, and mends it",
    "side_speech": "the user says something to somebody else",
    "user_backchannel": "the user says a word like mhm while the assistant goes on",
    "wait_for_more": "the assistant waits longer after a finished sentence",
    "speak_while_acting": "the assistant says what it does while it does it",
    "yield": "the assistant breaks a reply off because the user spoke into it",
}
ROBOT_MEMBERS = """\
| `KEY.look.CAMERA.mp4` | every frame of a camera, each a key frame |
| `KEY.act.npy` | float32 [steps, dimensions]: what the robot is told, a row a step |
| `KEY.state.npy` | float32 [steps, dimensions]: what it feels |
"""


STEM_MEMBERS = """\
| `KEY.stem.NAME.flac` | a clean source of `listen`, before room, noise and line |
"""


def more_members(robot: bool, members: Mapping[str, Sequence[str]]) -> str:
    """Rows of the table of members that only some corpora have."""
    stems = any(name.startswith("stem.") for names in members.values() for name in names)
    return (ROBOT_MEMBERS if robot else "") + (STEM_MEMBERS if stems else "")


def parts(stats: dict[str, Any]) -> str:
    counted = ("samples", "hours", "turns", "steps")
    found: dict[tuple[str, str], dict[str, float]] = {}
    for part in stats["parts"]:
        place = found.setdefault((part["split"], part["subset"]), dict.fromkeys(counted, 0))
        for name in counted:
            place[name] += part[name]
    return markdown(
        ("split", "subset", "samples", "hours", "spoken turns", "action steps"),
        [
            (*place, f"{n['samples']:,}", f"{n['hours']:.3f}", f"{n['turns']:,}", f"{n['steps']:,}")
            for place, n in found.items()
        ],
    )


def languages(stats: dict[str, Any]) -> str:
    counts: Counter[str] = Counter()
    for part in stats["parts"]:
        counts[part["language"]] += part["samples"]
    ordered = sorted(counts.items(), key=lambda c: (-c[1], c[0]))
    return ", ".join(f"{escaped(language)} ({n:,})" for language, n in ordered)


def how(about: dict[str, Any]) -> str:
    config = about.get("config", {})
    speech = config.get("speech", {}).get("backend", "?")
    labels = config.get("annotator", {}).get("backend", "?")
    return (
        "Each record was planned as a scene (who speaks when, with gaps, pauses, barge-ins and "
        f"backchannels), spoken by `{speech}`, placed on one clock, labelled by the `{labels}` "
        "annotator and checked."
    )


def versions(about: dict[str, Any]) -> str:
    versions = about.get("fingerprint", {}).get("versions", {})
    lines = (f"{name}: {version}" for name, version in sorted(versions.items()))
    return "\n".join(" ".join(line.split()).replace("`", "'") for line in lines)


def behaviours(stats: dict[str, Any]) -> str:
    rows = [
        (name.replace("_", " "), BEHAVIOURS.get(name, ""), f"{n:,}")
        for name, n in stats["behaviours"].items()
    ]
    head = ("behaviour", "what it is", "samples")
    return markdown(head, rows) if rows else "Turns, gaps and pauses, nothing else."


def measured(stats: dict[str, Any]) -> str:
    if stats["samples_read"] == stats["samples"]:
        return ""
    return f"Measured on {stats['samples_read']:,} of the samples, drawn by key. "


def truth(stats: dict[str, Any]) -> str:
    """What the checks found, and how far a voice detector agrees with the Timelines."""
    checks, vad = check_report.markdown(stats.get("checks")), stats["vad"] or {}
    if vad.get("status") != "run":
        return checks
    return f"{checks}\n\n" + (
        f"A voice detector (silero-vad), run on {vad['samples']:,} of the samples, agrees with their "
        f"Timelines for {vad['listen']:.1%} of the time of `listen` and {vad['speak']:.1%} of `speak`."
    )


def sources(stats: dict[str, Any]) -> str:
    rows = [
        (s["source"], s["licence"] or "not stated", f"{s['samples']:,}") for s in stats["sources"]
    ]
    return markdown(("source", "licence", "samples"), rows)


def voices(about: Mapping[str, Any]) -> str:
    """Whose voices speak, and by what right."""
    found = about.get("voices") or []
    rows = [(v["id"], v["engine"], v["licence"] or "-", v["consent"] or "-") for v in found]
    return markdown(("voice", "engine", "licence", "consent"), rows) if rows else ""


def rejected(stats: dict[str, Any]) -> str:
    found = stats["rejected"]
    if not found:
        return "Every input record is a sample."
    rows = [(r["status"], r["stage"], r["reason"], f"{r['records']:,}") for r in found[:REASONS]]
    more = f"\n\nand {len(found) - REASONS} more reasons" if len(found) > REASONS else ""
    head = "Input records that are not samples (all in `quarantine/`):\n\n"
    return head + markdown(("status", "stage", "reason", "records"), rows) + more


def limits(about: dict[str, Any], robot: bool) -> str:
    lines = []
    if about.get("config", {}).get("speech", {}).get("backend") == "espeak":
        lines.append(
            "Speech is made by espeak-ng, a formant synthesizer: words and times are exact, the "
            "voices are not natural. Use it to prove a pipeline, not to ship a voice."
        )
    lines.append(
        "Dialogues come from text: hesitations and slips are put in by rule, laughter is absent."
    )
    lines.append("Labels follow rules on what had been revealed; no person has checked them.")
    lines.append(_heard(about.get("config", {}).get("acoustics", {})))
    if robot:
        lines.append("The robot idles while it is told its task; it never speaks of failure.")
    return "\n".join(f"- {line}" for line in lines)


def _heard(acoustics: Mapping[str, Any]) -> str:
    effects = [name for name, given in acoustics.items() if isinstance(given, Mapping)]
    if not effects:
        return "`listen` is clean speech: no room, no noise, no line."
    return (
        f"`listen` has simulated acoustics ({', '.join(effects)}) in a drawn share of the samples; "
        "`provenance.acoustics` of a Timeline says which. `speak` is clean."
    )


def markdown(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; what stands in it is escaped."""
    lines = [names, ["---"] * len(names), *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def escaped(text: str) -> str:
    """Corpus text in a Markdown table: no markup of its own, one line."""
    safe = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", safe)
