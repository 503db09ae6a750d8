"""Ray clusters: joining one, starting a local one, packing and submitting jobs."""
