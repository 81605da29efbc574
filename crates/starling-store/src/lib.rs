//! Swarm references, blob files under a disk budget, and the job log.
