//! The envelope of a program binary: what the file is when it is none, and which length overruns it when it is one.

use risc0_zkos_v1compat::V1COMPAT_ELF;

use super::{FORMAT_VERSION, GUEST_BYTES_MAX, GuestError, MAGIC};

/// Where an ELF says which machine it is for, and the number of RISC-V there.
const ELF_MACHINE: (std::ops::Range<usize>, [u8; 2]) = (18..20, [0xf3, 0]);

/// The bytes that compressed files begin with, what they are compressed with, and what unpacks them.
const COMPRESSED: [(&[u8], &str, &str); 5] = [
    (b"\x1f\x8b", "gzip", "gzip -dk"),
    (b"\xfd7zXZ\0", "xz", "xz -dk"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -d"),
    (b"BZh", "bzip2", "bzip2 -dk"),
    (b"PK\x03\x04", "zip", "unzip"),
];

/// How many of a file's first bytes say whether it is compressed.
pub const COMPRESSION_BYTES: usize = 6;

/// What a file is compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// Its name.
    pub name: &'static str,
    /// The command that unpacks such a file.
    pub command: &'static str,
}

impl Compression {
    /// That of a file which begins so, by its first [`COMPRESSION_BYTES`].
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let &(_, name, command) = COMPRESSED.iter().find(|(magic, ..)| bytes.starts_with(magic))?;
        Some(Self { name, command })
    }
}

/// Whether it is a program as the linker wrote it, without a kernel.
pub(super) fn is_bare(bytes: &[u8]) -> bool {
    let (place, machine) = ELF_MACHINE;
    bytes.starts_with(b"\x7fELF\x01") && bytes.get(place).is_some_and(|found| found == machine)
}

/// Names what the file is when it is no program binary, and which length field overruns it when it is one.
pub(super) fn check(bytes: &[u8]) -> Result<(), GuestError> {
    let size_bytes = bytes.len() as u64;
    if bytes.is_empty() {
        return Err(GuestError::Empty);
    }
    if size_bytes > GUEST_BYTES_MAX {
        return Err(GuestError::TooLarge { size_bytes });
    }
    if !bytes.starts_with(MAGIC) {
        return Err(what_else(bytes));
    }
    let mut rest = &bytes[MAGIC.len()..];
    let version = take_u32(&mut rest, "its format version")?;
    if version != FORMAT_VERSION {
        return Err(GuestError::WrongAbi {
            found: format!("binary format {version}"),
            expected: "binary format 1",
        });
    }
    for what in ["its header", "its user program"] {
        let size = take_u32(&mut rest, what)? as usize;
        rest = rest.get(size..).ok_or_else(|| GuestError::Truncated {
            what: format!("{what} should have {size} bytes, only {} follow", rest.len()),
        })?;
    }
    if rest.is_empty() {
        return Err(GuestError::Truncated { what: "its kernel is missing".into() });
    }
    // Shorter than the usual kernel, and a beginning of it: cut off, not another.
    if rest.len() < V1COMPAT_ELF.len() && V1COMPAT_ELF.starts_with(rest) {
        let (expected, found) = (V1COMPAT_ELF.len(), rest.len());
        return Err(GuestError::Truncated {
            what: format!("its kernel should have {expected} bytes, only {found} follow"),
        });
    }
    Ok(())
}

/// What a file is that does not begin as a program binary does.
fn what_else(bytes: &[u8]) -> GuestError {
    const BUILD: &str =
        "build the guest with `cargo risczero build` and pass the .bin file it writes";
    if let Some(Compression { name, command }) = Compression::of(bytes) {
        return GuestError::Compressed { name, command };
    }
    if MAGIC.starts_with(bytes) {
        return GuestError::Truncated { what: "the file ends within its magic".into() };
    }
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let looks_like = if bytes.starts_with(b"\x7fELF") {
        "an ELF for another machine"
    } else if bytes.starts_with(b"STRL") {
        "a segment or receipt blob of Starling"
    } else if bytes.iter().take(512).all(is_text) {
        "text"
    } else {
        "something else"
    };
    GuestError::NotProgramBinary { looks_like, hint: BUILD }
}

fn take_u32(rest: &mut &[u8], what: &str) -> Result<u32, GuestError> {
    let (word, after) = rest
        .split_first_chunk()
        .ok_or_else(|| GuestError::Truncated { what: format!("the file ends before {what}") })?;
    *rest = after;
    Ok(u32::from_le_bytes(*word))
}
