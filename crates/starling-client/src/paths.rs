//! Paths in messages, for `#[serde(with = "paths")]`: as text where they are text, else as their bytes. A path is whatever
//! bytes a file system takes, and JSON has text alone.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

/// Serialises a path, or some.
///
/// # Errors
/// Those of `to`.
pub fn serialize<T: Paths, S: Serializer>(paths: &T, to: S) -> Result<S::Ok, S::Error> {
    paths.told().serialize(to)
}

/// Reads a path, or some.
///
/// # Errors
/// Those of `from`.
pub fn deserialize<'de, T: Paths, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    T::Told::deserialize(from).map(T::of)
}

/// A path as it is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Told {
    /// One that is text.
    Text(String),
    /// Another.
    Bytes(Vec<u8>),
}

/// A path, or some.
pub trait Paths {
    /// How they are told.
    type Told: Serialize + DeserializeOwned;

    /// What is told of them.
    fn told(&self) -> Self::Told;

    /// What was told.
    fn of(told: Self::Told) -> Self;
}

impl Paths for PathBuf {
    type Told = Told;

    fn told(&self) -> Told {
        let path: &Path = self;
        match path.to_str() {
            Some(text) => Told::Text(text.to_owned()),
            None => Told::Bytes(path.as_os_str().as_bytes().to_vec()),
        }
    }

    fn of(told: Told) -> Self {
        match told {
            Told::Text(text) => text.into(),
            Told::Bytes(bytes) => OsString::from_vec(bytes).into(),
        }
    }
}

impl Paths for Option<PathBuf> {
    type Told = Option<Told>;

    fn told(&self) -> Self::Told {
        self.as_ref().map(Paths::told)
    }

    fn of(told: Self::Told) -> Self {
        told.map(Paths::of)
    }
}

impl Paths for Vec<PathBuf> {
    type Told = Vec<Told>;

    fn told(&self) -> Self::Told {
        self.iter().map(Paths::told).collect()
    }

    fn of(told: Self::Told) -> Self {
        told.into_iter().map(Paths::of).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Message {
        #[serde(with = "super")]
        one: PathBuf,
        #[serde(with = "super")]
        perhaps: Option<PathBuf>,
        #[serde(with = "super")]
        more: Vec<PathBuf>,
    }

    #[test]
    fn a_path_is_told_whatever_its_bytes_are() {
        let odd = PathBuf::from(OsString::from_vec(b"/b\xff\n".to_vec()));
        let plain = PathBuf::from("/tmp/ümlaut");
        let message =
            Message { one: odd.clone(), perhaps: Some(odd.clone()), more: vec![plain, odd] };
        let line = serde_json::to_string(&message).unwrap();
        assert!(line.contains("\"/tmp/ümlaut\""), "{line}");
        assert_eq!(serde_json::from_str::<Message>(&line).unwrap(), message);
        let none = Message { one: "a".into(), perhaps: None, more: Vec::new() };
        let line = serde_json::to_string(&none).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&line).unwrap(), none);
    }
}
