"""Ranks: what `torchrun` says, and the few collectives the trainer needs. Alone, each is free.

gloo on CPU, nccl on CUDA. Every rank shares one sample order and takes every world_size-th of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from schemas.errors import StrettoError


@dataclass(frozen=True)
class Ranks:
    """This process among its peers."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def main(self) -> bool:
        """The rank that logs, evaluates and writes checkpoints."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum over ranks, in place."""
        if self.world_size > 1:
            dist.all_reduce(value)
        return value

    def any(self, flag: bool) -> bool:
        """Whether any rank says so: all ranks stop at the same step."""
        if self.world_size == 1:
            return flag
        return bool(self.sum(torch.tensor(float(flag), device=self.device)))

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, in rank order, on every rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.world_size > 1:
            dist.barrier()


def pick_device(wanted: str, local_rank: int) -> torch.device:
    """`auto` is the local CUDA device, or the CPU where there is none."""
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise StrettoError(
            "device is `cuda`, and torch finds none here",
            "device",
            "set `device: auto`, or install a CUDA build of torch 2.13.0",
        )
    return torch.device(f"cuda:{local_rank}" if wanted == "cuda" else wanted)


@contextmanager
def open_ranks(device: str) -> Iterator[Ranks]:
    """The ranks of this run, from the environment that `torchrun` sets; one rank without it."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    rank, local_rank = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    picked = pick_device(device, local_rank)
    if picked.type == "cuda":
        torch.cuda.set_device(picked)
    if world_size > 1:
        dist.init_process_group("nccl" if picked.type == "cuda" else "gloo")
    try:
        yield Ranks(rank, world_size, picked)
    finally:
        if world_size > 1 and dist.is_initialized():
            dist.destroy_process_group()
