//! The socket through which other processes speak to the one that owns a data directory.
//!
//! It is the file `control` in the directory. An owner that wants to be spoken to makes it. The two programs decide what they
//! say; this module carries messages of bounded size, one line of JSON each. Only the same user gets in: the socket has mode
//! 0600, and the owner asks the system who connects. When an owner is killed, its socket stays, but connecting to it fails,
//! and the next owner, which has the directory's lock, removes it. Every system wants a short path for a socket; if the directory's
//! path is too long, there is a detour ([`Detour`]).

use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use n0_future::{SinkExt as _, StreamExt as _};
use serde::{Serialize, de::DeserializeOwned};
use tempfile::TempDir;
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

use crate::{client::Client, system::System};

/// The longest message: the hex of the longest journal that is printed, twice over.
const MESSAGE_SIZE_BYTES_MAX: usize = 4 * crate::JOURNAL_PRINTED_BYTES_MAX;

/// The longest path of a socket that every system takes: `sun_path` has 104 bytes on some, the last one for a zero.
const PATH_SIZE_BYTES_MAX: usize = 103;

/// The socket's name in the data directory.
const NAME: &str = "control";

/// What the folders are called, below the system's for temporary files, in which sockets lie that would have too long a path.
const FOLDER_PREFIX: &str = "starling-control-";

/// How the socket of a directory is reached whose path is too long for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detour {
    /// Through the directory's descriptor, which has a path: on Linux.
    Descriptor,
    /// It lies in a folder of its own elsewhere, and a link in the directory says where.
    Link,
}

const DETOUR: Detour = if cfg!(target_os = "linux") { Detour::Descriptor } else { Detour::Link };

/// Why the owner of a data directory could not be spoken to.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Nobody listens there.
    #[error("no process answers in {}", dir.display())]
    Nobody {
        /// The data directory.
        dir: PathBuf,
    },
    /// The owner is another user's, and answers that one alone.
    #[error(
        "the process that owns {} belongs to another user (id {owner}) and answers only that user",
        dir.display()
    )]
    OtherUser {
        /// The data directory.
        dir: PathBuf,
        /// The id of the owner's user.
        owner: u32,
    },
    /// The connection failed.
    #[error("can't talk to the owner of the data directory: {0}")]
    Io(#[from] io::Error),
    /// A message is longer than any.
    #[error("the message has more than {MESSAGE_SIZE_BYTES_MAX} bytes")]
    TooLong,
    /// A message is not known here.
    #[error("can't understand a message ({0}): are both processes of the same release?")]
    Unknown(#[from] serde_json::Error),
}

impl From<LinesCodecError> for ControlError {
    fn from(error: LinesCodecError) -> Self {
        match error {
            LinesCodecError::MaxLineLengthExceeded => Self::TooLong,
            LinesCodecError::Io(error) => Self::Io(error),
        }
    }
}

/// Where the owner of a data directory is spoken to. The socket goes when this is dropped.
pub struct ControlServer<S: System> {
    listener: UnixListener,
    path: PathBuf,
    /// Where the socket lies, if not in the directory.
    _folder: Option<TempDir>,
    /// Keeps the directory's lock: as long as the socket is there, it is ours.
    _client: Client<S>,
}

/// A conversation: messages in both directions, in order.
pub struct ControlChannel {
    lines: Framed<UnixStream, LinesCodec>,
}

impl<S: System> ControlServer<S> {
    /// Makes the socket in the directory of `client`, in the place of one that a killed process has left.
    ///
    /// # Errors
    /// When it can't be made: on a file system without sockets, say.
    pub fn bind(client: &Client<S>) -> io::Result<Self> {
        Self::bind_by(client, DETOUR)
    }

    fn bind_by(client: &Client<S>, detour: Detour) -> io::Result<Self> {
        let path = client.dir.path().join(NAME);
        clear(&path)?;
        let is_long = path.as_os_str().len() > PATH_SIZE_BYTES_MAX;
        let folder = if is_long && detour == Detour::Link { Some(folder()?) } else { None };
        let listener = match &folder {
            Some(folder) => {
                let socket = folder.path().join(NAME);
                let listener = UnixListener::bind(&socket)?;
                std::os::unix::fs::symlink(&socket, &path)?;
                listener
            }
            None => with_short_path(client.dir.path(), |path| UnixListener::bind(path))?,
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path, _folder: folder, _client: client.clone() })
    }

    /// The next conversation. Others than this user are turned away.
    ///
    /// # Errors
    /// When the system has no more descriptors, say; later ones may come.
    pub async fn accept(&self) -> io::Result<ControlChannel> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let uid = stream.peer_cred()?.uid();
            if uid == rustix::process::geteuid().as_raw() {
                return Ok(ControlChannel::over(stream));
            }
            tracing::warn!(uid, "another user was turned away from the control socket");
        }
    }
}

impl<S: System> Drop for ControlServer<S> {
    fn drop(&mut self) {
        // One that stays is cleaned up by the next owner.
        let _ = fs::remove_file(&self.path);
    }
}

impl ControlChannel {
    /// Connects to the owner of the data directory `dir`. That the connection stands says nothing of the owner: the system makes
    /// it, even where the process is stopped.
    ///
    /// # Errors
    /// [`ControlError::Nobody`] when none listens: there is no owner, it is about to end, or it does something short.
    /// [`ControlError::OtherUser`] when it would turn this one away.
    pub async fn connect(dir: &Path) -> Result<Self, ControlError> {
        // Not tokio's: the descriptor in the path must be open until the connection stands. Nor on a task: where very many
        // wait already for an owner that takes none of them, it takes as long.
        let at = dir.to_owned();
        let connecting = tokio::task::spawn_blocking(move || {
            with_short_path(&at, |path| std::os::unix::net::UnixStream::connect(path))
        });
        let own = rustix::process::geteuid().as_raw();
        match connecting.await.map_err(io::Error::other)? {
            Ok(stream) => {
                stream.set_nonblocking(true)?;
                let stream = UnixStream::from_std(stream)?;
                refuse_other(dir, stream.peer_cred()?.uid(), own)?;
                Ok(Self::over(stream))
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let owner = fs::symlink_metadata(dir.join(NAME)).or_else(|_| fs::metadata(dir));
                refuse_other(dir, owner.map_or(own, |owner| owner.uid()), own)?;
                Err(error.into())
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Err(ControlError::Nobody { dir: dir.to_owned() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The process on the other side, if the system tells; for the side that connected, the owner.
    pub fn pid(&self) -> Option<u32> {
        let pid = self.lines.get_ref().peer_cred().ok()?.pid()?;
        u32::try_from(pid).ok()
    }

    fn over(stream: UnixStream) -> Self {
        Self { lines: Framed::new(stream, codec()) }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the other side is gone.
    pub async fn send(&mut self, message: &impl Serialize) -> Result<(), ControlError> {
        let line = serde_json::to_string(message)?;
        if line.len() > MESSAGE_SIZE_BYTES_MAX {
            return Err(ControlError::TooLong);
        }
        Ok(self.lines.send(line).await?)
    }

    /// The next message; `None` when the other side has ended. Nothing is lost when the future is dropped early.
    ///
    /// # Errors
    /// When the connection fails or the message is not understood.
    pub async fn recv<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ControlError> {
        match self.lines.next().await {
            Some(line) => Ok(Some(serde_json::from_str(&line?)?)),
            None => Ok(None),
        }
    }
}

/// How messages are told from each other.
pub(crate) fn codec() -> LinesCodec {
    LinesCodec::new_with_max_length(MESSAGE_SIZE_BYTES_MAX)
}

/// Says so where the owner of `dir` is not this user's.
fn refuse_other(dir: &Path, owner: u32, own: u32) -> Result<(), ControlError> {
    if owner == own {
        return Ok(());
    }
    Err(ControlError::OtherUser { dir: dir.to_owned(), owner })
}

/// Calls `with` with a path of the socket of `dir` that is short enough for one: of a directory with a long name, where its
/// link says, or the one through its descriptor.
fn with_short_path<T>(dir: &Path, with: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let path = dir.join(NAME);
    if path.as_os_str().len() <= PATH_SIZE_BYTES_MAX {
        return with(&path);
    }
    if let Ok(socket) = fs::read_link(&path) {
        return with(&socket);
    }
    let dir = File::open(dir)?;
    with(&PathBuf::from(format!("/proc/self/fd/{}/{NAME}", dir.as_raw_fd())))
}

/// A folder for a socket, which only this user gets into.
fn folder() -> io::Result<TempDir> {
    let in_folder = |parent: &Path| {
        let mut folder = tempfile::Builder::new();
        folder.prefix(FOLDER_PREFIX).permissions(fs::Permissions::from_mode(0o700));
        folder.tempdir_in(parent)
    };
    let folder = in_folder(&std::env::temp_dir())?;
    let is_short = folder.path().join(NAME).as_os_str().len() <= PATH_SIZE_BYTES_MAX;
    if is_short { Ok(folder) } else { in_folder(Path::new("/tmp")) }
}

/// Removes what a killed owner left, be it a socket or a link to one.
fn clear(path: &Path) -> io::Result<()> {
    if let Ok(socket) = fs::read_link(path)
        && let Some(folder) = socket.parent()
        && folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FOLDER_PREFIX))
    {
        // Whatever else may be there stays, and the folder with it.
        let _ = fs::remove_file(&socket);
        let _ = fs::remove_dir(folder);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ZkvmScript;

    type Client = super::Client<ZkvmScript>;
    type ControlServer = super::ControlServer<ZkvmScript>;

    const DISK_BUDGET_BYTES: u64 = 1 << 30;

    fn open(dir: &Path) -> Client {
        Client::open(dir, "a test", DISK_BUDGET_BYTES).unwrap()
    }

    /// Says something through the socket of `dir` and hears it back.
    async fn converse(dir: &Path, server: &ControlServer) {
        let mut caller = ControlChannel::connect(dir).await.unwrap();
        let mut owner = server.accept().await.unwrap();
        caller.send(&("hello\nthere", 7)).await.unwrap();
        let heard: (String, u32) = owner.recv().await.unwrap().unwrap();
        assert_eq!(heard, ("hello\nthere".to_owned(), 7));
        assert_eq!(caller.pid(), Some(std::process::id()));
        drop(owner);
        assert!(caller.recv::<u32>().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_owner_is_spoken_to_by_its_own_user_alone_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let server = ControlServer::bind(&open(dir.path())).unwrap();
        converse(dir.path(), &server).await;
        let socket = dir.path().join(NAME);
        let mode = fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(server);
        assert!(!socket.exists());
        let gone = ControlChannel::connect(dir.path()).await;
        assert!(matches!(gone, Err(ControlError::Nobody { .. })));
    }

    #[test]
    fn an_owner_of_another_user_is_named_before_anything_is_said() {
        let dir = Path::new("/shared/data");
        assert!(refuse_other(dir, 1000, 1000).is_ok());
        // As root too, which the system lets in, and the owner turns away.
        let error = refuse_other(dir, 1000, 0).unwrap_err();
        assert!(matches!(error, ControlError::OtherUser { owner: 1000, .. }));
        let text = "the process that owns /shared/data belongs to another user (id 1000) and answers only that user";
        assert_eq!(error.to_string(), text);
    }

    #[tokio::test]
    async fn a_directory_whose_path_is_longer_than_a_socket_may_have_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("a".repeat(100)).join("b".repeat(100));
        let server = ControlServer::bind(&open(&long)).unwrap();
        converse(&long, &server).await;
    }

    #[tokio::test]
    async fn where_a_socket_cannot_be_reached_through_a_descriptor_it_lies_elsewhere_and_is_found()
    {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("a".repeat(100)).join("b".repeat(100));
        let client = open(&long);
        let server = ControlServer::bind_by(&client, Detour::Link).unwrap();
        let socket = fs::read_link(long.join(NAME)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
        converse(&long, &server).await;
        // One that was killed leaves all of it, and the next owner clears it away.
        std::mem::forget(server);
        let server = ControlServer::bind_by(&client, Detour::Link).unwrap();
        assert!(!socket.parent().unwrap().exists());
        converse(&long, &server).await;
        let socket = fs::read_link(long.join(NAME)).unwrap();
        drop(server);
        assert!(!socket.parent().unwrap().exists() && fs::read_link(long.join(NAME)).is_err());
        let gone = ControlChannel::connect(&long).await;
        assert!(matches!(gone, Err(ControlError::Nobody { .. })));
    }

    #[tokio::test]
    async fn a_socket_that_a_killed_owner_left_answers_nobody_and_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let client = open(dir.path());
        // Dropped without removing the file, as by a kill.
        drop(std::os::unix::net::UnixListener::bind(dir.path().join(NAME)).unwrap());
        let gone = ControlChannel::connect(dir.path()).await;
        assert!(matches!(gone, Err(ControlError::Nobody { .. })));
        let server = ControlServer::bind(&client).unwrap();
        converse(dir.path(), &server).await;
    }

    #[tokio::test]
    async fn an_endless_message_and_one_that_is_none_are_refused() {
        use tokio::io::AsyncWriteExt as _;
        let dir = tempfile::tempdir().unwrap();
        let server = ControlServer::bind(&open(dir.path())).unwrap();
        for (bytes, is_too_long) in
            [(vec![b'x'; MESSAGE_SIZE_BYTES_MAX + 2], true), (b"{\n".to_vec(), false)]
        {
            let mut stream = UnixStream::connect(dir.path().join(NAME)).await.unwrap();
            let mut owner = server.accept().await.unwrap();
            let writing = tokio::spawn(async move { stream.write_all(&bytes).await });
            let error = owner.recv::<u32>().await.unwrap_err();
            assert_eq!(matches!(error, ControlError::TooLong), is_too_long, "{error}");
            drop(owner);
            let _ = writing.await.unwrap();
        }
    }
}
