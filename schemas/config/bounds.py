"""Shares and bounds that more than one section of a config uses."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

Rate = Annotated[float, Field(ge=0, le=1)]


# a user who goes on resumes 0.05 s before the assistant would speak: below this no pause is left
MIN_WAIT_S = 0.1


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the low bound {bounds[0]:g} is above the high bound {bounds[1]:g}")
    return bounds


# how much softer than a voice here: a gain of a scene's own is never above it
Softer = Annotated[float, Field(ge=-60, le=0)]
SofterBounds = Annotated[tuple[Softer, Softer], AfterValidator(_rising)]
Wait = Annotated[float, Field(ge=0, le=60)]
Bounds = Annotated[tuple[Wait, Wait], AfterValidator(_rising)]
RateBounds = Annotated[tuple[Rate, Rate], AfterValidator(_rising)]


def _patient(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] < MIN_WAIT_S:
        raise ValueError(
            f"the assistant must wait at least {MIN_WAIT_S:g} s, or it talks over pauses"
        )
    return bounds


Patience = Annotated[Bounds, AfterValidator(_patient)]
