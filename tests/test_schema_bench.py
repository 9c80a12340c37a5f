"""The bench without a corpus: `stretto schema list`, `show`, `check` and `diff`, and their figures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from jobs import schema, schema_diff, schema_show
from jobs.main import main
from schemas.errors import StrettoError
from token_schema.language import list_presets, load_schema
from token_schema.measure import Span, announced, total


def test_list_has_every_preset(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.list_() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == list_presets()
    assert "ellsa: blocks of 1 s: listen, look, gripper, write, act" in lines
    assert "moshi: steps of 0.08 s, 17 streams: say, speak, listen" in lines


@pytest.mark.parametrize("name", list_presets())
def test_show_has_every_token_and_lane(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert schema_show.run(name) == 0
    shown, loaded = capsys.readouterr().out, load_schema(name)
    assert all(lane.name in shown for lane in loaded.lanes)
    if loaded.timing != "frames":  # steps are drawn with the frames that stand in them
        inner = {t for x in loaded.lanes for t in x.inner()} - {
            getattr(x, f, None) for x in loaded.lanes for f in ("idle", "active")
        }
        assert all(t in shown for t in loaded.specials() if t not in inner)


@pytest.mark.parametrize("name", list_presets())
def test_show_yaml_is_the_schema(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert schema_show.run(name, as_yaml=True) == 0
    path = tmp_path / "mine.yaml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert load_schema(path).hash == load_schema(name).hash


def rates(name: str) -> dict[str, tuple[str, str, str]]:
    return {
        r.name: (str(r.tokens), str(r.boundary), str(r.bearing))
        for r in announced(load_schema(name))
    }


def test_announced_rates_by_hand() -> None:
    """lws: 10 codes and 2 boundaries; think 1 to 8 and 2; write 0 (not there) to 16 + 2."""
    assert rates("lws") == {
        "listen": ("12", "2", "0"),
        "think": ("3 to 10", "2", "1 to 8"),
        "phase": ("1", "0", "1"),
        "write": ("0 to 18", "0 to 2", "0 to 17"),
        "speak": ("0 to 42", "0 to 2", "0 to 41"),
        "(block)": ("2", "2", "0"),
    }
    assert rates("moshi") == {
        "say": ("12.5", "0", "12.5"),
        "speak": ("100", "0", "100"),
        "listen": ("100", "0", "0"),
    }
    assert rates("bayling") == {
        "listen": ("12.5", "0", "0"),
        "say": ("6.25", "0", "6.25"),
        "speak": ("12.5", "0", "12.5"),
    }
    whole = total(announced(load_schema("lws")))
    assert str(whole.tokens) == "18 to 85" and str(whole.boundary) == "6 to 10"


def test_a_span_holds_what_lies_inside() -> None:
    span = Span(Fraction(1), Fraction(2))
    assert span.holds(1) and span.holds(2) and not span.holds(2.1) and not span.holds(0.9)
    assert Span(Fraction(1), None).holds(1e9)
    assert (span + Span(Fraction(1), None)).most is None and (span * 2).most == 4


def test_diff_says_what_changes_and_only_that(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema_diff.run("ellsa", "lws") == 1
    shown = capsys.readouterr().out
    for part in ("7 -> 12", "8 -> 16", "think: only in lws", "act: only in ellsa", "18 to 85"):
        assert part in shown
    assert schema_diff.run("moshi", "personaplex") == 1
    shown = capsys.readouterr().out
    assert "say: loss.idle 0.5 -> 0.3" in shown and "listen:" not in shown
    assert schema_diff.run("moshi", "moshi") == 0
    assert "make the same tokens" in capsys.readouterr().out


def test_check_is_sound_or_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in list_presets():
        assert schema.check(name) == 0
        assert capsys.readouterr().out.endswith("sound\n")
    quiet = tmp_path / "quiet.yaml"
    quiet.write_text(
        "extends: bayling\nname: quiet\nchange: {say: {loss: 0, budget: 2}, speak: {loss: 0}}\n"
    )
    assert schema.check(str(quiet)) == 0
    said = capsys.readouterr().out
    assert "no lane bears loss" in said
    quiet.write_text("extends: bayling\nname: slow\nchange: {say: {budget: 2}}\n")
    schema.check(str(quiet))
    assert "lane say has 2.5 tokens a second" in capsys.readouterr().out
    with pytest.raises(StrettoError, match="quiet.yaml:3: "):
        quiet.write_text("extends: bayling\nname: x\nchange: {sya: {budget: 2}}\n")
        schema.check(str(quiet))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["schema", "show", "lws"], 0),
        (["schema", "diff", "ellsa", "lws"], 1),
        (["schema", "check", "elsa"], 2),
        (["schema", "show", "none.yaml"], 2),
    ],
)
def test_the_command_line(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == code
    assert "Traceback" not in capsys.readouterr().err
