//! Takes what is needed of RISC Zero's rv32im circuit from its published source.
//!
//! Executor and preflight are private to their crate, so they are compiled here from its source: cargo has it on disk
//! ([`starling_source`]). They are copied to `OUT_DIR`, with a few exact edits on the way ([`edits`]), and the library includes
//! them from there. The functions that fill the rows of a trace are C++, generated, in the crate with the kernels
//! ([`kernel`]). Nothing of these sources is in this repository.

mod edits;
mod functions;
mod kernel;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use starling_source::Published;

/// The crate with executor and preflight.
const CIRCUIT: Published =
    Published { name: "risc0-circuit-rv32im", file: None, variable: "STARLING_RV32IM_SOURCE" };

/// What is taken of it: files in its `src`, and in which folder of `OUT_DIR/published` they go.
const TAKEN: [(&str, &str); 21] = [
    ("execute/bibc.rs", "execute"),
    ("execute/bigint.rs", "execute"),
    ("execute/executor.rs", "execute"),
    ("execute/mod.rs", "execute"),
    ("execute/pager.rs", "execute"),
    ("execute/platform.rs", "execute"),
    ("execute/poseidon2.rs", "execute"),
    ("execute/r0vm.rs", "execute"),
    ("execute/rv32im.rs", "execute"),
    ("execute/segment.rs", "execute"),
    ("execute/sha2.rs", "execute"),
    ("execute/syscall.rs", "execute"),
    ("prove/witgen/bigint.rs", "witgen"),
    ("prove/witgen/byte_poly.rs", "witgen"),
    ("prove/witgen/paged_map.rs", "witgen"),
    ("prove/witgen/poseidon2.rs", "witgen"),
    ("prove/witgen/preflight.rs", "witgen"),
    ("prove/witgen/sha2.rs", "witgen"),
    ("zirgen/defs.rs.inc", "zirgen"),
    ("zirgen/layout.rs.inc", "zirgen"),
    ("zirgen/types.rs.inc", "zirgen"),
];

/// The root of the preflight's modules: an included file finds its modules beside it.
const WITGEN: &str = "pub(crate) mod bigint;
pub(crate) mod byte_poly;
pub(crate) mod paged_map;
pub(crate) mod poseidon2;
pub(crate) mod preflight;
pub(crate) mod sha2;
";

fn main() {
    if let Err(error) = build() {
        println!("cargo::error=cannot take RISC Zero's preflight from its source: {error}");
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build");
    let output = PathBuf::from(env::var("OUT_DIR")?);
    take_circuit(&CIRCUIT.find()?.join("src"), &output.join("published"))?;
    kernel::compile(&output.join("witness"))
}

/// Copies the taken files, edited.
fn take_circuit(source: &Path, output: &Path) -> Result<(), Box<dyn Error>> {
    edits::check_files(&TAKEN.map(|(file, _)| file))?;
    for (file, folder) in TAKEN {
        let path = source.join(file);
        println!("cargo::rerun-if-changed={}", path.display());
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let text = edits::apply(file, text)?;
        let name = path.file_name().ok_or("a file without a name")?;
        write(&output.join(folder).join(name), &text)?;
    }
    write(&output.join("witgen/mod.rs"), WITGEN)
}

/// Writes a file and the folders above it.
pub fn write(path: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    let folder = path.parent().ok_or("a file without a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(())
}
