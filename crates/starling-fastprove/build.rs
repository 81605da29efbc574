//! Compiles the circuits' constraints to bytecode.
//!
//! A circuit's crate has its constraints as a list of steps, which is private to it. This reads the lists from the
//! crates' sources: cargo has them on disk, beside that of `risc0-sys`, whose build script tells where it is. So it
//! is with cargo's registry as with a vendored tree; neither the network nor cargo is asked. For a circuit crate from
//! elsewhere (a fork, by path or git), a variable of the environment names the file ([`Circuit::variable`]).

#[path = "src/constraints/bytecode.rs"]
#[allow(dead_code)]
mod bytecode;
#[path = "src/constraints/compiler/mod.rs"]
mod compiler;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// A circuit whose constraints are wanted.
struct Circuit {
    /// What its files are called here.
    name: &'static str,
    /// The crate that it is published in.
    package: &'static str,
    /// The list of constraints in that crate.
    list: &'static str,
    /// Names the list of constraints, where it cannot be found.
    variable: &'static str,
    /// Whether its accumulators are running sums, to be computed from the list.
    sums: bool,
    /// Tells the crate's source code the directory of the list, where it wants more from it than the list.
    neighbours: Option<&'static str>,
}

const CIRCUITS: [Circuit; 3] = [
    Circuit {
        name: "recursion",
        package: "risc0-circuit-recursion",
        list: "src/poly_ext.rs",
        variable: "STARLING_RECURSION_POLY_EXT",
        sums: false,
        neighbours: None,
    },
    Circuit {
        name: "rv32im",
        package: "risc0-circuit-rv32im",
        list: "src/zirgen/poly_ext.rs",
        variable: "STARLING_RV32IM_POLY_EXT",
        sums: true,
        neighbours: Some("STARLING_RV32IM_SOURCE"),
    },
    Circuit {
        name: "keccak",
        package: "risc0-circuit-keccak",
        list: "src/zirgen/poly_ext.rs",
        variable: "STARLING_KECCAK_POLY_EXT",
        sums: false,
        neighbours: Some("STARLING_KECCAK_SOURCE"),
    },
];

/// What `risc0-sys` tells of itself: a directory in its source.
const NEIGHBOUR: &str = "DEP_RISC0_SYS_CXX_ROOT";

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
        println!("cargo::rerun-if-env-changed={}", self.variable);
        let list = match env::var_os(self.variable) {
            Some(path) => PathBuf::from(path),
            None => self.find_list()?,
        };
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
                format!("the path of {} is no text that a source file can name", list.display())
            })?;
            println!("cargo::rustc-env={variable}={directory}");
        }
        Ok(())
    }

    /// The list in the source of the release that `Cargo.lock` has.
    fn find_list(&self) -> Result<PathBuf, Box<dyn Error>> {
        let Self { package, list, variable, .. } = self;
        let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
        let lock = manifest
            .ancestors()
            .map(|directory| directory.join("Cargo.lock"))
            .find(|lock| lock.is_file())
            .ok_or_else(|| format!("no Cargo.lock above {}", manifest.display()))?;
        println!("cargo::rerun-if-changed={}", lock.display());
        let version = self.locked_version(&fs::read_to_string(&lock)?)?;

        let neighbour =
            PathBuf::from(env::var(NEIGHBOUR).map_err(|_| format!("{NEIGHBOUR} is not set"))?);
        let sources = neighbour
            .ancestors()
            .nth(2)
            .ok_or_else(|| format!("{} lies in no directory of sources", neighbour.display()))?;
        // The registry's directories have the version in their names, vendored ones need not.
        [format!("{package}-{version}"), (*package).to_owned()]
            .map(|name| sources.join(name))
            .into_iter()
            .find(|source| self.is_release(source, &version))
            .map(|source| source.join(list))
            .ok_or_else(|| {
                let sources = sources.display();
                format!(
                    "no source of {package} {version} in {sources}: set {variable} to its {list}"
                )
                .into()
            })
    }

    /// The version of the circuit crate in a `Cargo.lock`.
    fn locked_version(&self, lock: &str) -> Result<String, String> {
        let Self { package, list, variable, .. } = self;
        let name = format!("name = \"{package}\"");
        let entries = lock.split("[[package]]");
        let mut found = entries.filter(|entry| entry.lines().any(|line| line == name));
        let (Some(entry), None) = (found.next(), found.next()) else {
            return Err(format!("Cargo.lock has not just one {package}"));
        };
        if !entry.contains("\nsource = \"registry+") {
            return Err(format!("{package} is from no registry: set {variable} to its {list}"));
        }
        let version = entry.lines().find_map(|line| line.strip_prefix("version = "));
        let version = version.ok_or_else(|| format!("Cargo.lock has no version of {package}"))?;
        Ok(version.trim_matches('"').to_owned())
    }

    /// Whether a directory is the source of the circuit crate in this version.
    fn is_release(&self, source: &Path, version: &str) -> bool {
        let Ok(manifest) = fs::read_to_string(source.join("Cargo.toml")) else { return false };
        let has = |wanted: String| manifest.lines().any(|line| line == wanted);
        has(format!("name = \"{}\"", self.package)) && has(format!("version = \"{version}\""))
    }
}
