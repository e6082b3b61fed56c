"""The simulated LLM service behind `gnomon demo`: a provider, a shop assistant, and days of history."""
