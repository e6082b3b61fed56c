"""Quality: an LLM judge over a sample of the traffic, checks by code over all of it, and canaries."""
