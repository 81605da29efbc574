//! Program binaries: checked before anything runs, so that a wrong file gets a sentence instead of a
//! fault deep in the executor.

mod envelope;
mod kernel;

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
use starling_image::{ElfError, Image, LoadError};
use thiserror::Error;

pub use self::{
    envelope::{COMPRESSION_BYTES, Compression},
    kernel::Kernel,
};
use crate::panic;

/// The magic of the RISC Zero binary format.
const MAGIC: &[u8] = b"R0BF";

/// The version of that format that this build reads.
const FORMAT_VERSION: u32 = 1;

/// The most bytes of a program binary. Guests are a few MiB; data belongs into the input.
pub const GUEST_BYTES_MAX: u64 = 128 << 20;

/// The most memory that each of the two ELFs may ask to be initialised. RISC Zero's own loader, which others load the same guest
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
    /// The file is compressed as a whole.
    #[error("the guest file is compressed with {name}; unpack it first: `{command} FILE`")]
    Compressed {
        /// With what.
        name: &'static str,
        /// The command that unpacks such a file.
        command: &'static str,
    },
    /// The file ends too early.
    #[error("the program binary is cut off: {what}; copy or build it again")]
    Truncated {
        /// Which part is incomplete.
        what: String,
    },
    /// The program was built for another system interface.
    #[error("the guest was built for {found}, but this zkVM runs {expected}; rebuild it for risc0-zkvm {version}", version = crate::ZKVM_VERSION)]
    WrongAbi {
        /// What the guest names.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The kernel inside cannot be loaded.
    #[error(
        "the guest's kernel cannot be loaded: {reason}; build the guest again with `cargo risczero build`"
    )]
    BadKernel {
        /// What the loader said.
        reason: String,
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

/// A program binary that loads.
#[derive(Clone)]
pub struct Guest {
    bytes: Vec<u8>,
    image: Arc<Image>,
    image_id: Digest,
    user_elf_bytes: usize,
    kernel_elf_bytes: usize,
    kernel: Kernel,
    was_bare: bool,
    entry: u32,
    memory_end: u32,
}

impl Guest {
    /// Checks and loads a program binary, as `cargo risczero build` writes it, with whatever kernel it carries. The ELF of a
    /// program alone, as a linker writes it, is packed with the kernel that is linked here.
    ///
    /// # Errors
    /// [`GuestError`] says what the bytes are instead. No bytes make this panic.
    pub fn parse(mut bytes: Vec<u8>) -> Result<Self, GuestError> {
        let was_bare = envelope::is_bare(&bytes);
        if was_bare {
            bytes = ProgramBinary::new(&bytes, V1COMPAT_ELF).encode();
        }
        envelope::check(&bytes)?;
        let binary = panic::catch(|| ProgramBinary::decode(&bytes))
            .unwrap_or_else(|message| Err(anyhow::anyhow!(message)))
            .map_err(|error| GuestError::Truncated { what: format!("{error:#}") })?;
        check_abi(&binary)?;
        let bad = |reason| GuestError::BadProgram { reason };
        let (entry, memory_end) = check_elf(binary.user_elf).map_err(bad)?;
        check_elf(binary.kernel_elf)
            .map_err(|reason| GuestError::BadKernel { reason: format!("its ELF: {reason}") })?;
        let mut image = panic::catch(|| Image::of_program(binary.user_elf, binary.kernel_elf))
            .map_err(bad)?
            .map_err(of_load)?;
        let image_id = image.program_id();
        let (user_elf_bytes, kernel_elf_bytes) = (binary.user_elf.len(), binary.kernel_elf.len());
        let (kernel, image) = (Kernel::of(binary.kernel_elf), Arc::new(image));
        Ok(Self {
            bytes,
            image,
            image_id,
            user_elf_bytes,
            kernel_elf_bytes,
            kernel,
            was_bare,
            entry,
            memory_end,
        })
    }

    /// What a receipt of this guest is verified against.
    pub fn image_id(&self) -> Digest {
        self.image_id
    }

    /// The program binary: as given, or as packed here.
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

    /// Which kernel it is.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// What a person should know who runs it, if anything: that its kernel is not known, or that it had none.
    pub fn remark(&self) -> Option<String> {
        if self.was_bare {
            return Some(format!(
                "the guest is an ELF without a kernel: it is packed with {}, which gives the image id {}",
                self.kernel, self.image_id
            ));
        }
        kernel::warning(self.kernel)
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

/// What it means that the image cannot be made.
fn of_load(error: LoadError) -> GuestError {
    match error {
        LoadError::Kernel(error @ ElfError::CutOff { .. }) => {
            GuestError::Truncated { what: format!("its kernel's {error}") }
        }
        LoadError::Kernel(error) => GuestError::BadKernel { reason: format!("its {error}") },
        error @ LoadError::User(_) => GuestError::BadProgram { reason: error.to_string() },
    }
}

/// The entry point and the end of the memory that an ELF asks for, once that is known to be within bounds.
fn check_elf(elf: &[u8]) -> Result<(u32, u32), String> {
    let parsed = ElfBytes::<LittleEndian>::minimal_parse(elf).map_err(|e| e.to_string())?;
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
