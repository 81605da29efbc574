//! Compiles the recursion circuit's constraints to bytecode.
//!
//! The circuit's crate has its constraints as a list of steps, which is private to it. This reads the list from the
//! crate's source: cargo has it on disk, beside that of `risc0-sys`, whose build script tells where it is. So it
//! is with cargo's registry as with a vendored tree; neither the network nor cargo is asked. For a circuit crate from
//! elsewhere (a fork, by path or git), the variable [`OVERRIDE`] names the file.

#[path = "src/constraints/bytecode.rs"]
#[allow(dead_code)]
mod bytecode;
#[path = "src/constraints/compiler/mod.rs"]
mod compiler;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The crate whose constraints are wanted.
const CRATE: &str = "risc0-circuit-recursion";

/// The list of constraints in that crate.
const LIST: &str = "src/poly_ext.rs";

/// Names the list of constraints, where it cannot be found.
const OVERRIDE: &str = "STARLING_RECURSION_POLY_EXT";

/// What `risc0-sys` tells of itself: a directory in its source.
const NEIGHBOUR: &str = "DEP_RISC0_SYS_CXX_ROOT";

fn main() {
    if let Err(error) = build() {
        println!("cargo::error=cannot compile the recursion circuit's constraints: {error}");
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/constraints/bytecode.rs");
    println!("cargo::rerun-if-changed=src/constraints/compiler");
    println!("cargo::rerun-if-env-changed={OVERRIDE}");

    let list = match env::var_os(OVERRIDE) {
        Some(path) => PathBuf::from(path),
        None => find_list()?,
    };
    println!("cargo::rerun-if-changed={}", list.display());
    let source =
        fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let code =
        compiler::compile(&source).map_err(|error| format!("{}: {error}", list.display()))?;
    let output = PathBuf::from(env::var("OUT_DIR")?).join("recursion.constraints");
    fs::write(output, code.encode())?;
    Ok(())
}

/// The list in the source of the release that `Cargo.lock` has.
fn find_list() -> Result<PathBuf, Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let lock = manifest
        .ancestors()
        .map(|directory| directory.join("Cargo.lock"))
        .find(|lock| lock.is_file())
        .ok_or_else(|| format!("no Cargo.lock above {}", manifest.display()))?;
    println!("cargo::rerun-if-changed={}", lock.display());
    let version = locked_version(&fs::read_to_string(&lock)?)?;

    let neighbour =
        PathBuf::from(env::var(NEIGHBOUR).map_err(|_| format!("{NEIGHBOUR} is not set"))?);
    let sources = neighbour
        .ancestors()
        .nth(2)
        .ok_or_else(|| format!("{} lies in no directory of sources", neighbour.display()))?;
    // The registry's directories have the version in their names, vendored ones need not.
    [format!("{CRATE}-{version}"), CRATE.to_owned()]
        .map(|name| sources.join(name))
        .into_iter()
        .find(|source| is_release(source, &version))
        .map(|source| source.join(LIST))
        .ok_or_else(|| {
            let sources = sources.display();
            format!("no source of {CRATE} {version} in {sources}: set {OVERRIDE} to its {LIST}")
                .into()
        })
}

/// The version of the circuit crate in a `Cargo.lock`.
fn locked_version(lock: &str) -> Result<String, String> {
    let name = format!("name = \"{CRATE}\"");
    let packages = lock.split("[[package]]");
    let mut found = packages.filter(|package| package.lines().any(|line| line == name));
    let (Some(package), None) = (found.next(), found.next()) else {
        return Err(format!("Cargo.lock has not just one {CRATE}"));
    };
    if !package.contains("\nsource = \"registry+") {
        return Err(format!("{CRATE} is from no registry: set {OVERRIDE} to its {LIST}"));
    }
    let version = package.lines().find_map(|line| line.strip_prefix("version = "));
    let version = version.ok_or_else(|| format!("Cargo.lock has no version of {CRATE}"))?;
    Ok(version.trim_matches('"').to_owned())
}

/// Whether a directory is the source of the circuit crate in this version.
fn is_release(source: &Path, version: &str) -> bool {
    let Ok(manifest) = fs::read_to_string(source.join("Cargo.toml")) else { return false };
    let has = |wanted: String| manifest.lines().any(|line| line == wanted);
    has(format!("name = \"{CRATE}\"")) && has(format!("version = \"{version}\""))
}
