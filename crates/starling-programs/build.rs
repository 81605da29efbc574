//! Takes the programs that lift keccak proofs from the source of the keccak circuit's crate.
//!
//! The crate ships them in its source, but shows them only together with its prover, whose C++ is not built here. Cargo
//! has that source on disk, beside that of `risc0-sys`, whose build script tells where it is: in its registry or in a
//! vendored tree. For a circuit crate from elsewhere (a fork, by path or git), a variable names the directory of its
//! source.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use starling_source::Published;

/// The crate that ships the programs.
const CIRCUIT: Published =
    Published { name: "risc0-circuit-keccak", file: None, variable: "STARLING_KECCAK_SOURCE" };

/// Where they are in its source.
const FOLDER: &str = "src/prove";

/// Sizes of keccak proofs, as powers of two of their cycles: one program each.
const PO2: std::ops::RangeInclusive<u32> = 14..=18;

fn main() {
    if let Err(error) = build() {
        println!("cargo::error=cannot find the programs that lift keccak proofs: {error}");
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let source = CIRCUIT.find()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut table = String::from("&[");
    for po2 in PO2 {
        let name = format!("keccak_lift_{po2}.zkr");
        let packed = source.join(FOLDER).join(format!("{name}.xz"));
        println!("cargo::rerun-if-changed={}", packed.display());
        let bytes = fs::read(&packed).map_err(|error| format!("{}: {error}", packed.display()))?;
        fs::write(out.join(format!("{name}.xz")), bytes)?;
        table += &format!("(\"{name}\", include_bytes!(\"{name}.xz\")),");
    }
    fs::write(out.join("keccak.rs"), table + "]")?;
    Ok(())
}
