//! What holds of any bytes in a lock file. Fuzzing and the test of its seeds ask for it.

use crate::data_dir::Owner;

/// Reads `bytes` as what a lock file says of its owner.
///
/// # Panics
/// When a rule is broken: an owner's purpose is shown on one line that moves no cursor, and is read the same again.
pub fn lock_file(bytes: &[u8]) {
    let Some(owner) = Owner::parse(bytes) else { return };
    assert!(!owner.purpose.contains(char::is_control), "{owner:?}");
    if let Some(pid) = owner.pid {
        let written = format!("{pid} {}", owner.purpose);
        assert_eq!(Owner::parse(written.as_bytes()), Some(owner));
    }
}
