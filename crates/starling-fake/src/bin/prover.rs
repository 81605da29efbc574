//! The child process of the fake systems: its argument says of which.

use std::process::ExitCode;

use starling_child::{Phases, serve};
use starling_fake::{Hashing, SYSTEMS};
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

fn main() -> ExitCode {
    let system = std::env::args().nth(1).unwrap_or_default();
    let phases = Phases::default();
    tracing_subscriber::registry().with(phases.layer()).init();
    let served = match SYSTEMS.iter().position(|name| *name == system) {
        Some(0) => serve::<Hashing<0>>(phases),
        Some(_) => serve::<Hashing<1>>(phases),
        None => {
            eprintln!("there is no fake system {system:?}");
            return ExitCode::from(2);
        }
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
