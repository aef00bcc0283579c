//! What the process tells its operator: log lines, the access log, counters, and the names they carry.
