"""Workloads: generators and trace readers that make the timetable of a run."""
