"""Quality: evaluators, sampling, the judge and estimates with intervals."""
