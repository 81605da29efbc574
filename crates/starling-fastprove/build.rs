//! Compiles the circuits' constraints to bytecode.
//!
//! A circuit's crate has its constraints as a list of steps, which is private to it. This reads the lists from the
//! crates' sources: cargo has them on disk, beside that of `risc0-sys`, whose build script tells where it is. So it
//! is with cargo's registry as with a vendored tree; neither the network nor cargo is asked. For a circuit crate from
//! elsewhere (a fork, by path or git), a variable of the environment names the file ([`Published::variable`]).

#[path = "src/constraints/bytecode.rs"]
#[allow(dead_code)]
mod bytecode;
#[path = "src/constraints/compiler/mod.rs"]
mod compiler;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use starling_source::Published;

/// A circuit whose constraints are wanted.
struct Circuit {
    /// What its files are called here.
    name: &'static str,
    /// The list of constraints in the crate that it is published in.
    list: Published,
    /// Whether its accumulators are running sums, to be computed from the list.
    sums: bool,
    /// Tells the crate's source code the directory of the list, where it wants more from it than the list.
    neighbours: Option<&'static str>,
}

const CIRCUITS: [Circuit; 3] = [
    Circuit {
        name: "recursion",
        list: Published {
            name: "risc0-circuit-recursion",
            file: Some("src/poly_ext.rs"),
            variable: "STARLING_RECURSION_POLY_EXT",
        },
        sums: false,
        neighbours: None,
    },
    Circuit {
        name: "rv32im",
        list: Published {
            name: "risc0-circuit-rv32im",
            file: Some("src/zirgen/poly_ext.rs"),
            variable: "STARLING_RV32IM_POLY_EXT",
        },
        sums: true,
        neighbours: Some("STARLING_RV32IM_SOURCE"),
    },
    Circuit {
        name: "keccak",
        list: Published {
            name: "risc0-circuit-keccak",
            file: Some("src/zirgen/poly_ext.rs"),
            variable: "STARLING_KECCAK_POLY_EXT",
        },
        sums: false,
        neighbours: Some("STARLING_KECCAK_SOURCE"),
    },
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/constraints/bytecode.rs");
    println!("cargo::rerun-if-changed=src/constraints/compiler");
    for circuit in &CIRCUITS {
        if let Err(error) = circuit.build() {
            let name = circuit.name;
            println!("cargo::error=cannot compile the {name} circuit's constraints: {error}");
        }
    }
}

impl Circuit {
    fn build(&self) -> Result<(), Box<dyn Error>> {
        let list = self.list.find()?;
        println!("cargo::rerun-if-changed={}", list.display());
        let source =
            fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
        let in_list = |error| format!("{}: {error}", list.display());
        let output = PathBuf::from(env::var("OUT_DIR")?).join(self.name);
        let code = compiler::compile(&source).map_err(in_list)?;
        fs::write(output.with_extension("constraints"), code.encode())?;
        if self.sums {
            let sums = compiler::compile_sums(&source).map_err(in_list)?;
            fs::write(output.with_extension("sums"), sums.encode())?;
        }
        if let Some(variable) = self.neighbours {
            let directory = fs::canonicalize(&list)?;
            let directory = directory.parent().and_then(Path::to_str);
            let directory = directory.ok_or_else(|| {
                format!("the path of {} cannot be written in a source file", list.display())
            })?;
            println!("cargo::rustc-env={variable}={directory}");
        }
        Ok(())
    }
}
