"""How records flow: stages, the local and the Ray runner, shards, the stream reader."""
