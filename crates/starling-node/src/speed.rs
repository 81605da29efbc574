//! How fast this node proves, as it has measured itself.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use starling_types::Millis;

/// The weight of the newest task in the running mean, as one part in this many.
const NEWEST_WEIGHT: u32 = 4;

/// The largest speed that is believed: a thousand reference cores.
const SPEED_PERMILLE_MAX: u64 = 1_000_000;

/// The node's speed in thousandths of the reference core, kept in a file between runs: one file for each revision of the
/// costs that it is counted in.
///
/// It is a claim that helps a client to set deadlines; nothing is trusted because of it.
pub(crate) struct Speed {
    path: PathBuf,
    permille: Mutex<u32>,
}

impl Speed {
    /// The speed kept at `path`; unknown (0) when there is none.
    pub(crate) fn load(path: &Path) -> Self {
        let kept = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        Self { path: path.to_owned(), permille: Mutex::new(kept.unwrap_or(0)) }
    }

    /// The speed in thousandths of the reference core; 0 when unknown.
    pub(crate) fn permille(&self) -> u32 {
        *self.permille.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a finished task into account: `work` on the reference core took `elapsed` here.
    pub(crate) fn observe(&self, work: Millis, elapsed: Duration) {
        let elapsed_ms = elapsed.as_millis().max(1) as u64;
        let measured =
            (work.0.saturating_mul(1000) / elapsed_ms).clamp(1, SPEED_PERMILLE_MAX) as u32;
        let mut permille = self.permille.lock().unwrap_or_else(PoisonError::into_inner);
        *permille = match *permille {
            0 => measured,
            mean => {
                ((mean as u64 * (NEWEST_WEIGHT as u64 - 1) + measured as u64)
                    / NEWEST_WEIGHT as u64) as u32
            }
        };
        if let Err(error) = std::fs::write(&self.path, format!("{permille}\n")) {
            tracing::debug!(path = %self.path.display(), %error, "can't keep the measured speed");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn speed_follows_what_tasks_show_and_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("speed");
        let speed = Speed::load(&path);
        assert_eq!(speed.permille(), 0);
        speed.observe(Millis(80_000), Duration::from_secs(40));
        assert_eq!(speed.permille(), 2000);
        speed.observe(Millis(80_000), Duration::from_secs(80));
        assert_eq!(speed.permille(), 1750);
        assert_eq!(Speed::load(&path).permille(), 1750);
    }
}
