//! A node: pulls leases from clients and proves them in its prover process.
