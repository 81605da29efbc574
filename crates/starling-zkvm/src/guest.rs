//! Program binaries: checked before anything runs, so that a wrong file gets a sentence instead of a
//! fault deep in the executor.

use std::{fmt, sync::Arc};

use elf::{
    ElfBytes,
    abi::{PT_LOAD, STT_FUNC},
    endian::LittleEndian,
    symbol::Symbol,
};
use risc0_binfmt::{AbiKind, ProgramBinary};
use risc0_zkos_v1compat::V1COMPAT_ELF;
use risc0_zkvm::Digest;
use starling_image::Image;
use thiserror::Error;

use crate::panic;

/// The magic of the RISC Zero binary format.
const MAGIC: &[u8] = b"R0BF";

/// The version of that format that this build reads.
const FORMAT_VERSION: u32 = 1;

/// The most bytes of a program binary. Guests are a few MiB; data belongs into the input.
pub const GUEST_BYTES_MAX: u64 = 128 << 20;

/// The most memory that the two ELFs may ask to be initialised. RISC Zero's own loader, which others load the same guest
/// with, keeps a tree node for every word, so a flipped bit in one size field could otherwise ask for 12 GiB.
const IMAGE_BYTES_MAX: u64 = GUEST_BYTES_MAX;

/// The most characters of a function's name that are shown: generic ones have thousands.
const NAME_CHARS_MAX: usize = 200;

/// Why a file is not a guest that can be proved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GuestError {
    /// The file has no bytes.
    #[error("the guest file is empty")]
    Empty,
    /// The file is larger than any guest.
    #[error("the guest file has {size_bytes} bytes, the limit is {GUEST_BYTES_MAX}")]
    TooLarge {
        /// The size of the file.
        size_bytes: u64,
    },
    /// The file is something else.
    #[error("not a RISC Zero program binary: it looks like {looks_like}; {hint}")]
    NotProgramBinary {
        /// What the first bytes suggest.
        looks_like: &'static str,
        /// How to get from there to a program binary.
        hint: &'static str,
    },
    /// The file ends too early.
    #[error("the program binary is cut off: {what}; copy or build it again")]
    Truncated {
        /// Which part is incomplete.
        what: String,
    },
    /// The program was built for another system interface.
    #[error("the guest was built for {found}, this zkVM runs {expected}; rebuild it for risc0-zkvm {version}", version = crate::ZKVM_VERSION)]
    WrongAbi {
        /// What the guest names.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The kernel in the binary is not the one that this zkVM ships.
    #[error("the guest carries another kernel ({found_bytes} bytes) than risc0-zkvm {version}; rebuild it with the risc0-build of that release", version = crate::ZKVM_VERSION)]
    WrongKernel {
        /// The size of the kernel in the file.
        found_bytes: usize,
    },
    /// The program inside cannot be loaded.
    #[error(
        "the guest's program cannot be loaded: {reason}; rebuild it for riscv32im-risc0-zkvm-elf"
    )]
    BadProgram {
        /// What the loader said.
        reason: String,
    },
}

/// A program binary that loads: user program, kernel and image id agree with this zkVM.
#[derive(Clone)]
pub struct Guest {
    bytes: Vec<u8>,
    image: Arc<Image>,
    image_id: Digest,
    user_elf_bytes: usize,
    kernel_elf_bytes: usize,
    entry: u32,
    memory_end: u32,
}

impl Guest {
    /// Checks and loads a program binary, as `cargo risczero build` writes it.
    ///
    /// # Errors
    /// [`GuestError`] says what the bytes are instead. No bytes make this panic.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, GuestError> {
        check_envelope(&bytes)?;
        let binary = panic::catch(|| ProgramBinary::decode(&bytes))
            .unwrap_or_else(|message| Err(anyhow::anyhow!(message)))
            .map_err(|error| GuestError::Truncated { what: format!("{error:#}") })?;
        check_abi(&binary)?;
        if binary.kernel_elf != V1COMPAT_ELF {
            return Err(GuestError::WrongKernel { found_bytes: binary.kernel_elf.len() });
        }
        let (entry, memory_end) =
            check_user_elf(binary.user_elf).map_err(|reason| GuestError::BadProgram { reason })?;
        let bad = |reason| GuestError::BadProgram { reason };
        let mut image = panic::catch(|| Image::of_program(binary.user_elf, binary.kernel_elf))
            .map_err(bad)?
            .map_err(|error| bad(error.to_string()))?;
        let image_id = image.program_id();
        let (user_elf_bytes, kernel_elf_bytes) = (binary.user_elf.len(), binary.kernel_elf.len());
        let image = Arc::new(image);
        Ok(Self { bytes, image, image_id, user_elf_bytes, kernel_elf_bytes, entry, memory_end })
    }

    /// What a receipt of this guest is verified against.
    pub fn image_id(&self) -> Digest {
        self.image_id
    }

    /// The program binary as given.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The memory that the guest begins with.
    pub(crate) fn image(&self) -> Image {
        Image::clone(&self.image)
    }

    /// The size of the user program's ELF.
    pub fn user_elf_bytes(&self) -> usize {
        self.user_elf_bytes
    }

    /// The size of the kernel's ELF.
    pub fn kernel_elf_bytes(&self) -> usize {
        self.kernel_elf_bytes
    }

    /// The address of the user program's first instruction.
    pub fn entry(&self) -> u32 {
        self.entry
    }

    /// The function that an address of the program is in, where its ELF still has symbols.
    pub(crate) fn function_at(&self, address: u32) -> Option<String> {
        // The ELF is the guest's: whatever is wrong with its symbols, it has none.
        panic::catch(|| symbol_at(ProgramBinary::decode(&self.bytes).ok()?.user_elf, address))
            .ok()
            .flatten()
    }

    /// The address after the user program's memory, where its heap begins.
    pub(crate) fn memory_end(&self) -> u32 {
        self.memory_end
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("image_id", &self.image_id)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Names what the file is when it is not a program binary, and which length field overruns it when it is one.
fn check_envelope(bytes: &[u8]) -> Result<(), GuestError> {
    const BUILD: &str =
        "build the guest with `cargo risczero build` and pass the .bin file it writes";
    let size_bytes = bytes.len() as u64;
    if bytes.is_empty() {
        return Err(GuestError::Empty);
    }
    if size_bytes > GUEST_BYTES_MAX {
        return Err(GuestError::TooLarge { size_bytes });
    }
    let not = |looks_like, hint| Err(GuestError::NotProgramBinary { looks_like, hint });
    if !bytes.starts_with(MAGIC) {
        if bytes.starts_with(b"\x7fELF\x01") && bytes.get(18..20) == Some(&[0xf3, 0]) {
            return not(
                "a 32-bit RISC-V ELF without its kernel",
                "combine it with the kernel: `cargo risczero build` writes such a .bin file, \
                 `risc0_binfmt::ProgramBinary` does it in code",
            );
        }
        if bytes.starts_with(b"\x7fELF") {
            return not("an ELF for another machine", BUILD);
        }
        if MAGIC.starts_with(bytes) {
            return Err(GuestError::Truncated { what: "the file ends within its magic".into() });
        }
        if bytes.starts_with(b"STRL") {
            return not("a segment or receipt blob of Starling", BUILD);
        }
        if bytes.iter().take(512).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
        {
            return not("text", BUILD);
        }
        return not("something else", BUILD);
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
    // Shorter than the only kernel there is, and a beginning of it: cut off, not foreign.
    if rest.len() < V1COMPAT_ELF.len() && V1COMPAT_ELF.starts_with(rest) {
        let (expected, found) = (V1COMPAT_ELF.len(), rest.len());
        return Err(GuestError::Truncated {
            what: format!("its kernel should have {expected} bytes, only {found} follow"),
        });
    }
    Ok(())
}

fn take_u32(rest: &mut &[u8], what: &str) -> Result<u32, GuestError> {
    let (word, after) = rest
        .split_first_chunk()
        .ok_or_else(|| GuestError::Truncated { what: format!("the file ends before {what}") })?;
    *rest = after;
    Ok(u32::from_le_bytes(*word))
}

fn check_abi(binary: &ProgramBinary<'_>) -> Result<(), GuestError> {
    let header = &binary.header;
    if header.abi_kind == AbiKind::V1Compat && header.abi_version.major == 1 {
        return Ok(());
    }
    Err(GuestError::WrongAbi {
        found: format!("ABI {:?} {}", header.abi_kind, header.abi_version),
        expected: "ABI V1Compat 1.x",
    })
}

/// The entry point and the end of the memory that the program asks for, once that is known to be within bounds.
fn check_user_elf(user_elf: &[u8]) -> Result<(u32, u32), String> {
    let parsed = ElfBytes::<LittleEndian>::minimal_parse(user_elf).map_err(|e| e.to_string())?;
    let segments = parsed.segments().ok_or("it has no program headers")?;
    let (mut image_bytes, mut memory_end) = (0u64, 0u64);
    for segment in segments.iter().filter(|segment| segment.p_type == PT_LOAD) {
        image_bytes = image_bytes.saturating_add(segment.p_memsz);
        memory_end = memory_end.max(segment.p_vaddr.saturating_add(segment.p_memsz));
    }
    if image_bytes > IMAGE_BYTES_MAX {
        return Err(format!(
            "it asks for {image_bytes} bytes of initialised memory, the limit is {IMAGE_BYTES_MAX}"
        ));
    }
    let address = |what: &str, address: u64| {
        u32::try_from(address).map_err(|_| format!("{what} {address:#x} is beyond 32 bits"))
    };
    Ok((address("its entry point", parsed.ehdr.e_entry)?, address("its end", memory_end)?))
}

/// The name of the function at `address`, cut to [`NAME_CHARS_MAX`].
fn symbol_at(user_elf: &[u8], address: u32) -> Option<String> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(user_elf).ok()?;
    let (symbols, names) = elf.symbol_table().ok()??;
    let has = |symbol: &Symbol| {
        let end = symbol.st_value.saturating_add(symbol.st_size);
        symbol.st_symtype() == STT_FUNC && (symbol.st_value..end).contains(&u64::from(address))
    };
    let symbol = symbols.iter().find(has)?;
    let name = names.get(symbol.st_name as usize).ok()?;
    // Without its hash.
    let name = format!("{:#}", rustc_demangle::demangle(name));
    Some(name.chars().take(NAME_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests;
