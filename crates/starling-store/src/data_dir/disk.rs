//! Disks that a data directory should not lie on.
//!
//! The log is written by one process and read by others, which agree through memory that they share and through locks (SQLite's
//! write-ahead log). On a file system that is served by another machine both work for a part, or not at all, and a second machine
//! sees neither: <https://www.sqlite.org/wal.html>.

use std::path::Path;

/// What is wrong with the disk that `path` lies on, or is to lie on.
pub(super) fn fault(path: &Path) -> Option<String> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
    let name = shared(kind(existing)?)?;
    Some(format!(
        "the data directory lies on {name}, where the job log may be damaged, especially when a second machine uses it: use a \
         directory on a disk of this machine (--data-dir)"
    ))
}

/// The number of the kind of file system that a path lies on.
#[cfg(target_os = "linux")]
fn kind(path: &Path) -> Option<u32> {
    // These numbers have 32 bits, whatever the width of the field.
    rustix::fs::statfs(path).ok().map(|told| told.f_type as u32)
}

#[cfg(not(target_os = "linux"))]
fn kind(_: &Path) -> Option<u32> {
    None
}

/// The name of a kind of file system that other machines serve or share, from `linux/magic.h` and the drivers of each.
fn shared(kind: u32) -> Option<&'static str> {
    Some(match kind {
        0x0000_6969 => "NFS",
        0x0000_517b | 0xff53_4d42 | 0xfe53_4d42 => "a Windows share (SMB)",
        0x0102_1997 => "a folder of another system (9p)",
        0x6573_5546 => "a file system of a program (FUSE, such as sshfs)",
        0x786f_4256 => "a folder of another system (VirtualBox)",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x00c3_6400 => "Ceph",
        0x0bd0_0bd0 => "Lustre",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        0x7375_7245 => "Coda",
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn disks_of_other_machines_are_told_by_name_and_those_of_this_one_are_not() {
        for (kind, name) in [(0x6969, "NFS"), (0xfe53_4d42, "SMB"), (0x6573_5546, "sshfs")] {
            assert!(shared(kind).is_some_and(|shared| shared.contains(name)), "{kind:x}");
        }
        // ext4, btrfs, xfs, tmpfs, overlayfs, zfs.
        for kind in [0xef53, 0x9123_683e, 0x5846_5342, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1] {
            assert_eq!(shared(kind), None, "{kind:x}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kind_of_a_disk_is_that_of_what_there_is_of_a_path() {
        const PROC: u32 = 0x9fa0;
        assert_eq!(kind(Path::new("/proc/self")), Some(PROC));
        assert_eq!(kind(Path::new("/proc/nothing")), None);
        assert_eq!(fault(Path::new("/proc/nothing/here")), None, "it is asked of /proc");
    }
}
