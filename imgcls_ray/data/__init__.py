"""From a folder of pictures to shards. Callers import the submodules; the room itself loads nothing."""
