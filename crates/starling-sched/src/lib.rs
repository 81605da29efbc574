//! Leases, placement and acceptance of a job's tasks: pure.
