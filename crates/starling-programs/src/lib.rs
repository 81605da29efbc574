//! RISC Zero's recursion programs: their names, and their code as words.
//!
//! The circuits' crates ship them as data, packed with xz, in crates of their own (lifts; everything else) and in the
//! source of the keccak circuit's crate. This crate reads them from there, so that a prover of recursion programs needs none
//! of RISC Zero's provers, which come with C++ that takes half an hour to compile.
//!
//! It knows nothing of what programs do, and trusts none: the prover of one checks its control id.

use std::io::Read as _;

use liblzma::read::XzDecoder;
use thiserror::Error;

/// The most bytes of a program: 23 words in each of 2^18 rows.
const BYTES_MAX: u64 = (23 * 4) << 18;

/// The programs that lift keccak proofs, packed.
const KECCAK: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/keccak.rs"));

/// Why there is no such program.
#[derive(Debug, Error)]
pub enum ProgramsError {
    /// No crate ships it.
    #[error("there is no recursion program {name}")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// What the crate ships cannot be read.
    #[error("recursion program {name} cannot be unpacked: {reason}")]
    Unreadable {
        /// The name asked for.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The code of the program `name` (`join.zkr`, `lift_rv32im_v2_18.zkr`, `keccak_lift_15.zkr`): the words of one row
/// of control columns after the other, as numbers, not in Montgomery form.
///
/// # Errors
/// When there is no such program, or when its crate is damaged.
pub fn words(name: &str) -> Result<Vec<u32>, ProgramsError> {
    let packed = packed(name).ok_or_else(|| ProgramsError::Unknown { name: name.into() })?;
    let unreadable = |reason: String| ProgramsError::Unreadable { name: name.into(), reason };
    let mut bytes = Vec::new();
    let mut decoder = XzDecoder::new(packed).take(BYTES_MAX + 1);
    decoder.read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(unreadable(format!("it has more than {BYTES_MAX} bytes")));
    }
    let (words, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(unreadable(format!("its {} bytes are not whole words", bytes.len())));
    }
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

/// The names of all programs.
pub fn names() -> impl Iterator<Item = &'static str> {
    let control = risc0_circuit_recursion_control_zkrs::ZKRS.keys();
    let lifts = risc0_circuit_recursion_zkrs::ZKRS.keys();
    control.chain(lifts).copied().chain(KECCAK.iter().map(|(name, _)| *name))
}

fn packed(name: &str) -> Option<&'static [u8]> {
    let shipped = risc0_circuit_recursion_control_zkrs::ZKRS
        .get(name)
        .or_else(|| risc0_circuit_recursion_zkrs::ZKRS.get(name));
    let keccak = || KECCAK.iter().find(|(known, _)| *known == name).map(|(_, packed)| *packed);
    shipped.map(|(packed, _)| *packed).or_else(keccak)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use risc0_circuit_recursion::control_id::POSEIDON2_CONTROL_IDS;

    use super::*;

    #[test]
    fn every_program_with_a_control_id_is_there_and_has_whole_rows() {
        let names: BTreeSet<&str> = names().collect();
        for (name, _) in &POSEIDON2_CONTROL_IDS {
            assert!(names.contains(name), "{name}");
        }
        assert_eq!(names.len(), POSEIDON2_CONTROL_IDS.len() + KECCAK.len());
        for name in names {
            let words = words(name).unwrap();
            assert!(!words.is_empty() && words.len().is_multiple_of(23), "{name}");
        }
    }

    #[test]
    fn what_nobody_ships_is_an_error() {
        let error = words("lift_rv32im_v2_99.zkr").unwrap_err();
        assert_eq!(error.to_string(), "there is no recursion program lift_rv32im_v2_99.zkr");
    }
}
