//! What proof systems are called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a proof system: what decides whether two peers can prove for each other, and nothing else. `risc0/a54dc85a/2`,
/// for one. To everybody but the system's own crates it is a word that is the same or not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SystemName(String);

impl SystemName {
    /// The system that is called so.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Several names in one text, for people.
    pub fn listed<'a>(systems: impl IntoIterator<Item = &'a Self>) -> String {
        systems.into_iter().map(Self::as_str).collect::<Vec<_>>().join(", ")
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SystemName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl fmt::Display for SystemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SystemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
