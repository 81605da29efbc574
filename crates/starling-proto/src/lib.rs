//! The wire messages of Starling, their limits and signatures.
