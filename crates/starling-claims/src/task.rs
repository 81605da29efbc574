//! What a lease says of a zkVM's task beside its kind and range: the arguments that its prover reads.

use starling_types::Po2;
use thiserror::Error;

/// The arguments of a task. On the wire: the po2, then 1 where work is counted and 0 where not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskArguments {
    /// The largest segment or keccak proof to make.
    pub po2_max: Po2,
    /// Whether the job counts work: its receipts of segments are [`WorkReceipt`](crate::WorkReceipt)s then.
    pub work_claims: bool,
}

/// Bytes that are no arguments of a task.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the {size_bytes} bytes {bytes:02x?} are no arguments of a task: expected a po2 and 0 or 1"
)]
pub struct ArgumentsError {
    /// How many there are.
    pub size_bytes: usize,
    /// The first of them.
    pub bytes: Vec<u8>,
}

impl TaskArguments {
    /// The bytes that travel.
    pub fn encode(self) -> Vec<u8> {
        // A po2 is far below 256.
        vec![self.po2_max.get() as u8, self.work_claims.into()]
    }

    /// Reads what [`encode`](Self::encode) wrote, and nothing else.
    ///
    /// # Errors
    /// [`ArgumentsError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ArgumentsError> {
        let read = match bytes {
            [po2, work @ (0 | 1)] => {
                Po2::try_from(u32::from(*po2)).ok().map(|po2| (po2, *work == 1))
            }
            _ => None,
        };
        let (po2_max, work_claims) = read.ok_or_else(|| ArgumentsError {
            size_bytes: bytes.len(),
            bytes: bytes.iter().copied().take(8).collect(),
        })?;
        Ok(Self { po2_max, work_claims })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn arguments_have_their_bytes() {
        for (work_claims, bytes) in [(false, [20, 0]), (true, [20, 1])] {
            let arguments = TaskArguments { po2_max: "20".parse().unwrap(), work_claims };
            assert_eq!(arguments.encode(), bytes);
            assert_eq!(TaskArguments::decode(&bytes), Ok(arguments));
        }
    }

    #[test]
    fn other_bytes_are_no_arguments() {
        for bytes in [&[][..], &[20], &[20, 2], &[20, 0, 0], &[0, 0], &[255, 1]] {
            assert!(TaskArguments::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
