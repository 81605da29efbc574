//! The one place where the operating system's "disk full" is recognised.

use std::{io, path::Path};

use starling_blobs::{NoSpace, StoreError};

use super::disk::Disk;

/// Says what was tried, and on what, where the operating system only says what went wrong.
pub(crate) trait IoContext<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|cause| {
            let path = path.to_owned();
            match cause.kind() {
                io::ErrorKind::QuotaExceeded => NoSpace::Quota { path }.into(),
                // The system says the same of both.
                io::ErrorKind::StorageFull if Disk::of(&path).is_ok_and(Disk::has_no_inodes) => {
                    NoSpace::NoInodes.into()
                }
                io::ErrorKind::StorageFull => NoSpace::DiskFull { path }.into(),
                _ => StoreError::Io { action, path, cause },
            }
        })
    }
}
