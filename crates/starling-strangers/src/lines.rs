//! What processes of one machine say to each other. A prover child that a stranger's task has taken over says what it likes.

/// The pipes between a supervisor and its prover child, in both directions.
pub(crate) fn child_lines(bytes: &[u8]) {
    starling_child::rules::said_by_child(bytes);
    starling_child::rules::said_by_parent(bytes);
}

/// The socket of a data directory's owner.
pub(crate) fn control_lines(bytes: &[u8]) {
    starling_client::rules::control_lines(bytes);
}

/// What RISC Zero's client in a host program sends of its environment.
pub(crate) fn hosted_wire(bytes: &[u8]) {
    starling_zkvm::execute::hosted::rules::hosted_wire(bytes);
}
