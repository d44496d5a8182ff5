"""The serving engine: requests, policies, and executors of one contract."""
