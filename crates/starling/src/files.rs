//! Files that the command line names: read with bounds, and with errors that say what to do.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use starling_zkvm::{
    Guest, Receipt, ZKVM_VERSION,
    receipt::{self, ReceiptError},
};

use crate::{args::Common, exit::Exit};

/// The largest guest or receipt file that is read: more than either kind's own limit, which names it.
pub const GUEST_SIZE_BYTES_MAX: u64 = 256 << 20;

/// The largest input that is read.
pub const INPUT_SIZE_BYTES_MAX: u64 = 1 << 30;

/// The data directory: `--data-dir`, or `starling` in the XDG data directory.
pub fn data_dir(common: &Common) -> Result<PathBuf, Exit> {
    use etcetera::BaseStrategy;
    if let Some(dir) = &common.data_dir {
        // Else a directory that can't hold jobs would look like one that holds none.
        if dir.exists() && !dir.is_dir() {
            return Err(Exit::usage(anyhow!("--data-dir {} is not a directory", dir.display())));
        }
        return Ok(dir.clone());
    }
    let base = etcetera::choose_base_strategy()
        .map_err(|error| Exit::usage(anyhow!("no home directory ({error}): give --data-dir")))?;
    Ok(base.data_dir().join("starling"))
}

/// The bytes of the file `path`, which is `what` to the user.
///
/// # Errors
/// With exit code 2 when it can't be read or is larger than `size_bytes_max`.
pub fn read(path: &Path, what: &str, size_bytes_max: u64) -> Result<Vec<u8>, Exit> {
    let mut bytes = Vec::new();
    open(path, what)?
        .take(size_bytes_max + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("can't read {what} {}", path.display()))
        .map_err(Exit::usage)?;
    if bytes.len() as u64 > size_bytes_max {
        return Err(Exit::usage(anyhow!(
            "{what} {} is larger than {} MiB, the most that is read",
            path.display(),
            size_bytes_max >> 20
        )));
    }
    Ok(bytes)
}

/// The guest in the file `path`.
pub fn read_guest(path: &Path) -> Result<Guest, Exit> {
    let bytes = read(path, "guest", GUEST_SIZE_BYTES_MAX)?;
    Guest::parse(bytes)
        .with_context(|| format!("{} is no guest", path.display()))
        .map_err(Exit::usage)
}

/// Whether the file `path`, which is `what` to the user, begins as a program does: a guest, or an ELF
/// that was not packed with its kernel. An empty file is an error.
pub fn is_program(path: &Path, what: &str) -> Result<bool, Exit> {
    let mut magic = Vec::new();
    open(path, what)?
        .take(4)
        .read_to_end(&mut magic)
        .with_context(|| format!("can't read {what} {}", path.display()))
        .map_err(Exit::usage)?;
    if magic.is_empty() {
        return Err(Exit::usage(anyhow!("{what} {} is empty", path.display())));
    }
    Ok(magic == b"R0BF" || magic == b"\x7fELF")
}

/// The receipt in the file `path`, of which nothing is known yet; `else_it_is` says what to call it
/// when it holds none: "no receipt".
pub fn read_receipt(path: &Path, else_it_is: &str) -> Result<Receipt, Exit> {
    receipt::read_receipt(path).map_err(|error| match error {
        ReceiptError::NotReceipt { reason, .. } => Exit::usage(anyhow!(
            "{} is {else_it_is} of risc0-zkvm {ZKVM_VERSION}: it holds something else, is cut off, or \
             another release wrote it ({reason})",
            path.display()
        )),
        error => Exit::usage(error),
    })
}

/// The guest's input: the file, stdin for `-`, or nothing.
pub fn read_input(path: Option<&Path>) -> Result<Vec<u8>, Exit> {
    match path {
        None => Ok(Vec::new()),
        Some(path) if path == Path::new("-") => {
            let mut bytes = Vec::new();
            io::stdin()
                .lock()
                .take(INPUT_SIZE_BYTES_MAX + 1)
                .read_to_end(&mut bytes)
                .context("can't read the input from stdin")
                .map_err(Exit::usage)?;
            if bytes.len() as u64 > INPUT_SIZE_BYTES_MAX {
                return Err(Exit::usage(anyhow!("the input on stdin is larger than 1 GiB")));
            }
            Ok(bytes)
        }
        Some(path) => read(path, "input", INPUT_SIZE_BYTES_MAX),
    }
}

fn open(path: &Path, what: &str) -> Result<File, Exit> {
    let file = File::open(path)
        .with_context(|| format!("can't open {what} {}", path.display()))
        .map_err(Exit::usage)?;
    let metadata = file.metadata().map_err(Exit::usage)?;
    if metadata.is_dir() {
        return Err(Exit::usage(anyhow!("{what} {} is a directory", path.display())));
    }
    Ok(file)
}
