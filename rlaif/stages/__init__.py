"""The stages of a cycle: functions of records, settings, a backend and a seed."""
