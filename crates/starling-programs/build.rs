//! Takes the programs that lift keccak proofs from the source of the keccak circuit's crate.
//!
//! The crate ships them in its source and shows them only together with its prover, whose C++ nobody here wants. Cargo
//! has that source on disk, beside that of `risc0-sys`, whose build script tells where it is: in its registry or in a
//! vendored tree. For a circuit crate from elsewhere (a fork, by path or git), the variable [`OVERRIDE`] names the
//! directory of its source.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The crate that ships the programs.
const CRATE: &str = "risc0-circuit-keccak";

/// Where they are in its source.
const FOLDER: &str = "src/prove";

/// Sizes of keccak proofs, as powers of two of their cycles: one program each.
const PO2: std::ops::RangeInclusive<u32> = 14..=18;

/// Names the source of the crate, where it cannot be found.
const OVERRIDE: &str = "STARLING_KECCAK_SOURCE";

/// What `risc0-sys` tells of itself: a directory in its source.
const NEIGHBOUR: &str = "DEP_RISC0_SYS_CXX_ROOT";

fn main() {
    if let Err(error) = build() {
        println!("cargo::error=cannot find the programs that lift keccak proofs: {error}");
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    let source = match env::var_os(OVERRIDE) {
        Some(path) => PathBuf::from(path),
        None => find_source()?,
    };
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

/// The source of the release that `Cargo.lock` has.
fn find_source() -> Result<PathBuf, Box<dyn Error>> {
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
        .ok_or_else(|| {
            let sources = sources.display();
            format!("no source of {CRATE} {version} in {sources}: set {OVERRIDE} to it").into()
        })
}

/// The version of the circuit's crate in a `Cargo.lock`.
fn locked_version(lock: &str) -> Result<String, String> {
    let name = format!("name = \"{CRATE}\"");
    let packages = lock.split("[[package]]");
    let mut found = packages.filter(|package| package.lines().any(|line| line == name));
    let (Some(package), None) = (found.next(), found.next()) else {
        return Err(format!("Cargo.lock has not just one {CRATE}"));
    };
    if !package.contains("\nsource = \"registry+") {
        return Err(format!("{CRATE} is from no registry: set {OVERRIDE} to its source"));
    }
    let version = package.lines().find_map(|line| line.strip_prefix("version = "));
    let version = version.ok_or_else(|| format!("Cargo.lock has no version of {CRATE}"))?;
    Ok(version.trim_matches('"').to_owned())
}

/// Whether a directory is the source of the circuit's crate in this version.
fn is_release(source: &Path, version: &str) -> bool {
    let Ok(manifest) = fs::read_to_string(source.join("Cargo.toml")) else { return false };
    let has = |wanted: String| manifest.lines().any(|line| line == wanted);
    has(format!("name = \"{CRATE}\"")) && has(format!("version = \"{version}\""))
}
