"""From a plan to records: what is to be served, where, and what it leaves."""
