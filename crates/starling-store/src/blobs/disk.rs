//! What a disk has left, as the system tells it.

use std::{io, path::Path};

/// A disk, or a part of one, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    /// What it could hold at most, in bytes; everything, where the system cannot be asked.
    pub size_bytes: u64,
    /// What it has left for us, in bytes; everything, where the system cannot be asked.
    pub free_bytes: u64,
    /// How many files it can still take; `None` where there is no such limit, or it is not told.
    pub free_inodes: Option<u64>,
}

impl Disk {
    /// A disk with so much left, and room for any number of files.
    #[cfg(test)]
    pub fn with_free_bytes(free_bytes: u64) -> Self {
        Self { size_bytes: u64::MAX, free_bytes, free_inodes: None }
    }

    /// That which a path lies on, or is to lie on.
    pub fn of(path: &Path) -> io::Result<Self> {
        #[cfg(unix)]
        {
            let existing = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(path);
            let told = rustix::fs::statvfs(existing)?;
            Ok(Self {
                size_bytes: told.f_blocks.saturating_mul(told.f_frsize),
                free_bytes: told.f_bavail.saturating_mul(told.f_frsize),
                // File systems that make them as they are needed say that there are none at all.
                free_inodes: (told.f_files > 0).then_some(told.f_favail),
            })
        }
        #[cfg(not(unix))]
        {
            let _ = path;
            Ok(Self { size_bytes: u64::MAX, free_bytes: u64::MAX, free_inodes: None })
        }
    }

    /// Whether it takes no more files.
    pub fn has_no_inodes(self) -> bool {
        self.free_inodes == Some(0)
    }
}
