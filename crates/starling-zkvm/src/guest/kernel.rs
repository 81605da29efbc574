//! Kernels: the part of a program binary that `risc0-build` adds, which begins in the machine's own mode and answers the
//! program's calls.
//!
//! A kernel is a part of the image, so an image id that somebody has written down, in a contract say, is that of its kernel
//! too. The executor and the circuit know nothing of kernels: another one runs, or fails as a program does. So none is
//! refused. Those of releases are known by their hash; of others a person is told.

use std::fmt;

use risc0_zkp::core::hash::sha::{Impl as Sha256, Sha256 as _};
use risc0_zkvm::Digest;

/// The kernels of releases, by their SHA-256, and the releases of `risc0-build` that pack them.
const KNOWN: [(&str, &str); 3] = [
    ("c878cb36b367a518908de9336a61ee58699436fb7a535fc5c823030057ab942d", "3.0.0 and 3.0.1"),
    ("abe65930ab9e0a485b9309a75ca6a1e10331b9ed97ba1e0489e41d36f49cb7f6", "3.0.2"),
    (
        "7ffd942e4e8babd771094f549ad080cfea8ecb2c05c986e275c011f41979d921",
        "3.0.3 to 3.0.6 and 3.1.0-rc.1",
    ),
];

/// The kernel of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// One of a release.
    Known {
        /// The releases of `risc0-build` that pack it.
        releases: &'static str,
    },
    /// Another.
    Other {
        /// Its SHA-256.
        sha256: Digest,
    },
}

impl Kernel {
    /// That of this ELF.
    pub(super) fn of(elf: &[u8]) -> Self {
        let sha256 = *Sha256::hash_bytes(elf);
        let hex = sha256.to_string();
        match KNOWN.iter().find(|(known, _)| *known == hex) {
            Some(&(_, releases)) => Self::Known { releases },
            None => Self::Other { sha256 },
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known { releases } => write!(f, "that of risc0-build {releases}"),
            Self::Other { sha256 } => write!(f, "unknown, with the SHA-256 {sha256}"),
        }
    }
}

/// What a person is told of a kernel that is not known.
pub(super) fn warning(kernel: Kernel) -> Option<String> {
    let Kernel::Other { sha256 } = kernel else { return None };
    let releases = KNOWN.map(|(_, releases)| releases).join(", ");
    Some(format!(
        "the guest carries a kernel that is not known here (SHA-256 {sha256}): it may do what cannot be executed or proved; \
         those of risc0-build {releases} are known"
    ))
}

#[cfg(test)]
mod tests {
    use risc0_zkos_v1compat::V1COMPAT_ELF;

    use super::*;

    #[test]
    fn the_kernel_that_is_linked_here_is_known_by_its_hash() {
        let kernel = Kernel::of(V1COMPAT_ELF);
        assert_eq!(kernel, Kernel::Known { releases: "3.0.3 to 3.0.6 and 3.1.0-rc.1" });
        assert_eq!(warning(kernel), None);
    }

    #[test]
    fn of_another_kernel_one_is_told_its_hash_and_which_are_known() {
        let told = warning(Kernel::of(b"")).unwrap_or_default();
        // The hash of nothing, as everybody knows it.
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for word in [nothing, "3.0.0 and 3.0.1", "3.0.2", "3.1.0-rc.1"] {
            assert!(told.contains(word), "no {word} in: {told}");
        }
    }
}
