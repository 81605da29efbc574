//! The prover child as a program of its own: what `starling prover` is inside the real binary.

fn main() -> Result<(), starling_zkvm::prover::ServeError> {
    starling_zkvm::prover::serve()
}
