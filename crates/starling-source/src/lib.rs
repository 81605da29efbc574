//! Finds the sources of published crates as cargo unpacked them, for build scripts that take something private from them.
//!
//! The crate that is built has to depend on `risc0-sys`, which has a `links` name and tells where its own source lies. The other
//! crates of the family lie beside it, in cargo's registry and in a vendored directory alike. Neither the network nor cargo is asked.
//! For a crate from elsewhere (a fork, by path or git), a variable names the place.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What `risc0-sys` tells of itself: its C++ headers, a directory in its source.
const NEIGHBOUR: &str = "DEP_RISC0_SYS_CXX_ROOT";

/// A crate whose source is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Its name.
    pub name: &'static str,
    /// The file of it that is wanted; none, where its whole directory is.
    pub file: Option<&'static str>,
    /// The variable that names what is wanted, where it cannot be found.
    pub variable: &'static str,
}

impl Published {
    /// What is wanted, of the release that `Cargo.lock` has. Tells cargo what that depends on.
    ///
    /// # Errors
    ///
    /// When the release is not where it should be: says which variable to set to what.
    pub fn find(&self) -> Result<PathBuf, Box<dyn Error>> {
        println!("cargo::rerun-if-env-changed={}", self.variable);
        if let Some(path) = env::var_os(self.variable) {
            return Ok(PathBuf::from(path));
        }
        let version = self.locked_version()?;
        let headers = headers()?;
        let sources = headers
            .ancestors()
            .nth(2)
            .ok_or_else(|| format!("{} lies in no directory of sources", headers.display()))?;
        // The registry's directories have the version in their names, vendored ones need not.
        [format!("{}-{version}", self.name), self.name.to_owned()]
            .map(|directory| sources.join(directory))
            .into_iter()
            .find(|source| self.is_release(source, &version))
            .map(|source| self.file.map_or_else(|| source.clone(), |file| source.join(file)))
            .ok_or_else(|| {
                let Self { name, .. } = self;
                let (sources, mend) = (sources.display(), self.mend());
                format!("no source of {name} {version} in {sources}: {mend}").into()
            })
    }

    /// What to do where it cannot be found.
    fn mend(&self) -> String {
        format!("set {} to its {}", self.variable, self.file.unwrap_or("directory"))
    }

    /// The crate's version in `Cargo.lock`.
    fn locked_version(&self) -> Result<String, Box<dyn Error>> {
        let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
        let path = manifest
            .ancestors()
            .map(|directory| directory.join("Cargo.lock"))
            .find(|lock| lock.is_file())
            .ok_or_else(|| format!("no Cargo.lock above {}", manifest.display()))?;
        println!("cargo::rerun-if-changed={}", path.display());
        let lock = fs::read_to_string(&path)?;

        let Self { name, .. } = self;
        let line_of_name = format!("name = \"{name}\"");
        let packages = lock.split("[[package]]");
        let mut found = packages.filter(|package| package.lines().any(|line| line == line_of_name));
        let (Some(package), None) = (found.next(), found.next()) else {
            return Err(format!("Cargo.lock has not just one {name}").into());
        };
        if !package.contains("\nsource = \"registry+") {
            return Err(format!("{name} is from no registry: {}", self.mend()).into());
        }
        let version = package.lines().find_map(|line| line.strip_prefix("version = "));
        let version = version.ok_or_else(|| format!("Cargo.lock has no version of {name}"))?;
        Ok(version.trim_matches('"').to_owned())
    }

    /// Whether a directory is the source of this crate in this version.
    fn is_release(&self, source: &Path, version: &str) -> bool {
        let Ok(manifest) = fs::read_to_string(source.join("Cargo.toml")) else { return false };
        let has = |wanted: String| manifest.lines().any(|line| line == wanted);
        has(format!("name = \"{}\"", self.name)) && has(format!("version = \"{version}\""))
    }
}

/// The directory of the headers that the published C++ shares.
///
/// # Errors
///
/// When the crate that is built does not depend on `risc0-sys`.
pub fn headers() -> Result<PathBuf, Box<dyn Error>> {
    let headers = env::var(NEIGHBOUR).map_err(|_| format!("{NEIGHBOUR} is not set"))?;
    Ok(PathBuf::from(headers))
}
