//! Files that the command line names: read with bounds, and with errors that say what to do.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use starling_zkvm::{
    GUEST_BYTES_MAX, Guest, Receipt, ZKVM_VERSION,
    guest::{COMPRESSION_BYTES, Compression},
    receipt::{self, ReceiptError},
};
use tempfile::NamedTempFile;

use crate::{args::Common, class::Class, exit::Exit, terminal};

/// The largest input that is read.
pub const INPUT_SIZE_BYTES_MAX: u64 = 1 << 30;

/// The most that is read from a pipe of a guest or a receipt.
const PIPE_SIZE_BYTES_MAX: u64 = 256 << 20;

/// The variable that stands for `--data-dir`. One that is empty says nothing.
const DATA_DIR_VARIABLE: &str = "STARLING_DATA_DIR";

/// The data directory: `--data-dir`, what [`DATA_DIR_VARIABLE`] says, or `starling` in the XDG data directory.
pub fn data_dir(common: &Common) -> Result<PathBuf, Exit> {
    use etcetera::BaseStrategy;
    let given = common.data_dir.clone().map(|dir| ("--data-dir", dir));
    let said = std::env::var_os(DATA_DIR_VARIABLE).filter(|said| !said.is_empty());
    let said = said.map(|said| (DATA_DIR_VARIABLE, PathBuf::from(said)));
    if let Some((from, dir)) = given.or(said) {
        // Else a directory that can't hold jobs would look like one that holds none.
        if dir.exists() && !dir.is_dir() {
            return Err(Exit::usage(anyhow!("{from} {} is not a directory", dir.display())));
        }
        return Ok(dir);
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
            "{what} {} is larger than the limit of {} MiB",
            path.display(),
            size_bytes_max >> 20
        )));
    }
    Ok(bytes)
}

/// The guest in the file `path`.
pub fn read_guest(path: &Path) -> Result<Guest, Exit> {
    let bytes = read(path, "guest", GUEST_BYTES_MAX)?;
    Guest::parse(bytes)
        .with_context(|| format!("{} is not a guest", path.display()))
        .map_err(Exit::usage)
}

/// The guest in the file `path`, and what there is to remark on it, said.
pub fn read_guest_aloud(path: &Path) -> Result<Guest, Exit> {
    let guest = read_guest(path)?;
    remark(&guest);
    Ok(guest)
}

/// Says what a person should know of a guest, if anything.
pub fn remark(guest: &Guest) {
    if let Some(remark) = guest.remark() {
        terminal::say(&remark);
    }
}

/// Whether the file `path`, which is `what` to the user, begins as a program does: a guest, or an ELF. An empty file is an
/// error, and so is a compressed one.
pub fn is_program(path: &Path, what: &str) -> Result<bool, Exit> {
    let first = first_bytes(path, what)?;
    if first.is_empty() {
        let text = anyhow!("{what} {} is empty", path.display());
        return Err(Exit::usage(text).classed(Class::NotAReceipt));
    }
    if let Some(compression) = Compression::of(&first) {
        return Err(compressed(path, compression));
    }
    Ok(first.starts_with(b"R0BF") || first.starts_with(b"\x7fELF"))
}

/// So many bytes that they tell what a file is.
fn first_bytes(path: &Path, what: &str) -> Result<Vec<u8>, Exit> {
    let mut first = Vec::new();
    open(path, what)?
        .take(COMPRESSION_BYTES as u64)
        .read_to_end(&mut first)
        .with_context(|| format!("can't read {what} {}", path.display()))
        .map_err(Exit::usage)?;
    Ok(first)
}

fn compressed(path: &Path, Compression { name, command }: Compression) -> Exit {
    let path = path.display();
    Exit::usage(anyhow!("{path} is compressed with {name}"))
        .classed(Class::NotAReceipt)
        .hinted(format!("unpack it first: `{command} {path}`"))
}

/// The receipt in the file `path`, of which nothing is known yet; `else_it_is` says what to call it
/// when it holds none: "not a receipt".
pub fn read_receipt(path: &Path, else_it_is: &str) -> Result<Receipt, Exit> {
    // Nothing is said here of a pipe, which has no size.
    if path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0) {
        let text = anyhow!("{} is {else_it_is}: it is empty", path.display());
        return Err(Exit::usage(text).classed(Class::NotAReceipt));
    }
    receipt::read_receipt(path).map_err(|error| match error {
        ReceiptError::NotReceipt { reason, .. } => {
            // What a pipe began with is gone, and to open it again might wait for ever.
            let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
            let first = if is_file { first_bytes(path, "receipt").ok() } else { None };
            let first = first.unwrap_or_default();
            let exit = match Compression::of(&first) {
                Some(compression) => compressed(path, compression),
                None => Exit::usage(anyhow!(
                    "{} is {else_it_is} of risc0-zkvm {ZKVM_VERSION}: it is something else, it is cut off, or \
                     another release wrote it ({reason})",
                    path.display()
                )),
            };
            exit.classed(Class::NotAReceipt)
        }
        error => Exit::usage(error),
    })
}

/// A file that can be read more than once: what a pipe or this process's own standard input (`-`) holds is copied first.
pub struct Settled {
    path: PathBuf,
    /// The copy, gone with this.
    _copy: Option<NamedTempFile>,
}

impl Settled {
    /// What `path` is to the user is `what`.
    ///
    /// # Errors
    /// With exit code 2 when it can't be read, or a pipe holds more than [`PIPE_SIZE_BYTES_MAX`].
    pub fn new(path: &Path, what: &str) -> Result<Self, Exit> {
        let source: Box<dyn Read> = if is_stdin(path) {
            Box::new(io::stdin())
        } else if is_read_once(path) {
            Box::new(open(path, what)?)
        } else {
            return Ok(Self { path: path.to_owned(), _copy: None });
        };
        let mut copy = NamedTempFile::new().context("can't keep what a pipe holds in a file")?;
        let copied = io::copy(&mut source.take(PIPE_SIZE_BYTES_MAX + 1), &mut copy)
            .with_context(|| format!("can't read {what} {}", path.display()))
            .map_err(Exit::usage)?;
        if copied > PIPE_SIZE_BYTES_MAX {
            return Err(Exit::usage(anyhow!(
                "{what} {} is larger than {} MiB, the limit for a pipe: put it into a file",
                path.display(),
                PIPE_SIZE_BYTES_MAX >> 20
            )));
        }
        Ok(Self { path: copy.path().to_owned(), _copy: Some(copy) })
    }

    /// Where it can be read.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The receipts in these files.
pub fn read_receipts(paths: &[PathBuf]) -> Result<Vec<Receipt>, Exit> {
    paths.iter().map(|path| read_receipt(path, "not a receipt")).collect()
}

/// Whether a path stands for this process's own standard input.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether a path leads to what can be read once: this process's standard input, or a pipe.
pub fn is_read_once(path: &Path) -> bool {
    // A file that is there and has no name any more is what this process alone has open: a here-document, say.
    let has_name = || path.canonicalize().is_ok();
    let is_pipe = |found: std::fs::Metadata| !found.is_file() && !found.is_dir() || !has_name();
    is_stdin(path) || path.metadata().is_ok_and(is_pipe)
}

/// The guest's standard input: the file `input` (stdin for `-`), then each of `frames` behind its size, as
/// `ExecutorEnv::write_frame` writes them. Nothing is read before it is asked for, but a frame that is no file.
pub fn guest_input(input: Option<&Path>, frames: &[PathBuf]) -> Result<Box<dyn Read + Send>, Exit> {
    let of_stdin = input.into_iter().chain(frames.iter().map(PathBuf::as_path));
    if of_stdin.filter(|path| is_stdin(path)).count() > 1 {
        return Err(Exit::usage(anyhow!(
            "`-` is this process's standard input, which can be read only once"
        )));
    }
    let mut stream: Box<dyn Read + Send> = match input {
        None => Box::new(io::empty()),
        Some(path) if is_stdin(path) => Box::new(io::stdin()),
        Some(path) => {
            let file = open(path, "input")?;
            let size_bytes = file.metadata().map_err(Exit::usage)?.len();
            if size_bytes > INPUT_SIZE_BYTES_MAX {
                let (path, limit) = (path.display(), INPUT_SIZE_BYTES_MAX >> 20);
                return Err(Exit::usage(anyhow!("input {path} is larger than {limit} MiB"))
                    .classed(Class::Input));
            }
            Box::new(file)
        }
    };
    for path in frames {
        // What has no size is read to its end first. The copy stays as long as it is open.
        let settled = Settled::new(path, "frame")?;
        let file = open(settled.path(), "frame")?;
        let size_bytes = file.metadata().map_err(Exit::usage)?.len();
        let size = u32::try_from(size_bytes).map_err(|_| {
            let path = path.display();
            Exit::usage(anyhow!("frame {path} has {size_bytes} bytes: a frame's size is a u32"))
        })?;
        // A file that grows meanwhile must not run into the next frame; one that shrinks fails the guest.
        let frame = io::Cursor::new(size.to_le_bytes()).chain(file.take(size.into()));
        stream = Box::new(stream.chain(frame));
    }
    Ok(Box::new(Bounded { stream, left_bytes: INPUT_SIZE_BYTES_MAX }))
}

/// Fails rather than hand out more than it may.
struct Bounded {
    stream: Box<dyn Read + Send>,
    left_bytes: u64,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        match self.left_bytes.checked_sub(read as u64) {
            Some(left) => self.left_bytes = left,
            None => {
                let limit = INPUT_SIZE_BYTES_MAX >> 20;
                return Err(io::Error::other(format!("it is larger than {limit} MiB")));
            }
        }
        Ok(read)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_called_empty_whatever_it_should_hold() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let receipt = read_receipt(file.path(), "not a receipt").unwrap_err().text();
        assert!(receipt.ends_with(" is not a receipt: it is empty"), "{receipt}");
        let guest = read_guest(file.path()).unwrap_err().text();
        assert!(guest.ends_with("the guest file is empty"), "{guest}");
        let any = is_program(file.path(), "file").unwrap_err().text();
        assert!(any.ends_with(" is empty"), "{any}");
    }
}
