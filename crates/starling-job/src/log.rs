//! What every job logs, whatever proof system it belongs to.

use serde::{Deserialize, Serialize};
use starling_types::{BlobRef, Incarnation, NodeId, Reference, Task};

/// One line of a job's log, in the order in which things became true. `E` are the proof system's own events, which stand
/// in the log beside these, not inside of one.
///
/// The names and fields are a file format: a later release must read them. Add variants and optional fields; never change
/// the meaning of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JobEvent<E> {
    /// A client process took the job up, or the job started over.
    ClientStarted {
        /// How often that has happened, this time included. Lease numbers begin with it, so that none is reused.
        incarnation: Incarnation,
    },
    /// A result was fetched, verified as far as it can be alone, and kept.
    ResultAccepted {
        /// What it is the result of.
        task: Task,
        /// The result.
        blob: BlobRef,
        /// Who made it.
        node: NodeId,
        /// Whether it counts for now only: it may yet prove false.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_provisional: bool,
    },
    /// A result that counted for now counts for good.
    ResultConfirmed {
        /// What it is the result of.
        task: Task,
    },
    /// An accepted result proved false, and does not count any more.
    ResultRevoked {
        /// What it was the result of.
        task: Task,
    },
    /// An accepted result is gone from the store, or damaged there.
    ResultLost {
        /// The result.
        blob: Reference,
    },
    /// All so far is void, since the source did not put out the same again.
    Restarted {
        /// What differed.
        reason: String,
    },
    /// The job cannot go on; taking it up again tries again.
    Failed {
        /// Why, for a person.
        message: String,
    },
    /// The user gave the job up.
    Cancelled,
    /// The proof system's own.
    #[serde(untagged)]
    Own(E),
}

impl<E> From<E> for JobEvent<E> {
    fn from(own: E) -> Self {
        Self::Own(own)
    }
}

impl<E> JobEvent<E> {
    /// Whether a result does not count any more from here on.
    pub(crate) fn takes_back(&self) -> bool {
        matches!(self, Self::ResultRevoked { .. } | Self::ResultLost { .. })
    }

    /// The event's name, which the log keeps beside its body; the name of an own event is what `own` says.
    pub fn kind(&self, own: impl FnOnce(&E) -> &'static str) -> &'static str {
        match self {
            Self::ClientStarted { .. } => "client_started",
            Self::ResultAccepted { .. } => "result_accepted",
            Self::ResultConfirmed { .. } => "result_confirmed",
            Self::ResultRevoked { .. } => "result_revoked",
            Self::ResultLost { .. } => "result_lost",
            Self::Restarted { .. } => "restarted",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Own(event) => own(event),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use starling_types::{IndexRange, KindCode};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "event", rename_all = "snake_case")]
    enum Own {
        PieceStored { index: u32 },
    }

    #[test]
    fn own_events_and_those_of_every_job_are_lines_of_one_log() {
        let task = Task { kind: KindCode(2), range: IndexRange::single(7) };
        let blob = BlobRef { reference: Reference([1; 32]), size_bytes: 1 };
        let accepted = |is_provisional| {
            let node = NodeId([2; 32]);
            JobEvent::ResultAccepted { task, blob, node, is_provisional }
        };
        let events = [
            JobEvent::Own(Own::PieceStored { index: 7 }),
            JobEvent::ClientStarted { incarnation: Incarnation(3) },
            JobEvent::ResultRevoked { task },
            accepted(false),
            accepted(true),
            JobEvent::Cancelled,
        ];
        let lines = events.clone().map(|event| serde_json::to_string(&event).unwrap());
        assert_eq!(lines[0], r#"{"event":"piece_stored","index":7}"#);
        assert_eq!(lines[1], r#"{"event":"client_started","incarnation":3}"#);
        let says = |line: &String| line.contains("is_provisional");
        assert_eq!((says(&lines[3]), says(&lines[4])), (false, true));
        let read = lines.map(|line| serde_json::from_str::<JobEvent<Own>>(&line).unwrap());
        assert_eq!(read, events);
        for unknown in [r#"{"event":"unheard_of"}"#, r#"{"event":"piece_stored"}"#] {
            assert!(serde_json::from_str::<JobEvent<Own>>(unknown).is_err(), "{unknown}");
        }
    }
}
