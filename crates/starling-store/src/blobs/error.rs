//! The one place where the operating system's "disk full" is recognised.

use std::{io, path::Path};

use starling_blobs::{NoSpace, StoreError};

/// Says what was tried, and on what, where the operating system only says what went wrong.
pub(crate) trait IoContext<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|cause| match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                NoSpace::DiskFull { path: path.to_owned() }.into()
            }
            _ => StoreError::Io { action, path: path.to_owned(), cause },
        })
    }
}
