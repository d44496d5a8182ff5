"""The papers' experiments: figures as data, their workloads, runner, records, metrics and claims."""
