//! The prover child as a program of its own: what `starling prover` is inside the real binary.

use starling_child::{Phases, ServeError, serve};
use starling_zkvm::prover::RiscZero;
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

fn main() -> Result<(), ServeError> {
    let phases = Phases::default();
    tracing_subscriber::registry().with(phases.layer()).init();
    serve::<RiscZero>(phases)
}
