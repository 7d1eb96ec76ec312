"""A build cache of runs: a request that was paid for and saved once is taken from there."""
