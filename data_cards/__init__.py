"""Templates of the data card. `pipeline.card` fills `corpus.md`."""
