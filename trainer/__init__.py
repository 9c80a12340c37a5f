"""The bundled trainer: streams shards, compiles tokens on the fly, packs, trains, resumes exactly.

`trainer.loop.train(config)` runs it. Only the modules that compute import torch, so the processes
that compile tokens stay light.
"""
