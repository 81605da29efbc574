//! Reading and writing single fields: each function checks one kind of field, once for all messages.

use starling_types::{
    BlobRef, IndexRange, JobId, KindCode, Millis, NodeId, Po2, Reference, SystemName, Task,
};

use crate::{
    LeaseId,
    error::{FieldError, FieldProblem},
    limits::{
        BLOB_SIZE_BYTES_MAX, DURATION_MS_MAX, SYSTEM_NAME_SIZE_BYTES_MAX, TEXT_SIZE_BYTES_MAX,
    },
    wire,
};

type Checked<T> = Result<T, FieldError>;

/// `text` with every control character replaced by a space, so that a peer's words cannot drive a
/// terminal or forge a line of a log.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect()
}

fn is_unprintable(c: char) -> bool {
    // Besides control characters: marks that change the direction of the text around them.
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What of our own `text` goes into a message: cleaned, and cut to what every peer accepts. A reason
/// that lost its end is better than a message that a peer must refuse.
pub(crate) fn outgoing_text(text: &str) -> String {
    let mut cut = clean(text);
    cut.truncate(cut.floor_char_boundary(TEXT_SIZE_BYTES_MAX));
    cut
}

pub(crate) fn text(field: &'static str, text: &str) -> Checked<String> {
    bounded(field, text, TEXT_SIZE_BYTES_MAX).map(clean)
}

/// `text`, unless it is too long.
pub(crate) fn bounded<'a>(field: &str, text: &'a str, size_bytes_max: usize) -> Checked<&'a str> {
    if text.len() > size_bytes_max {
        let problem = FieldProblem::TooLong { size_bytes: text.len(), size_bytes_max };
        return Err(FieldError::new(field, problem));
    }
    Ok(text)
}

pub(crate) fn present<T>(field: &'static str, value: Option<T>) -> Checked<T> {
    value.ok_or_else(|| FieldError::new(field, FieldProblem::Missing))
}

pub(crate) fn at_most<'a, T>(
    field: &'static str,
    entries: &'a [T],
    count_max: usize,
) -> Checked<&'a [T]> {
    if entries.len() > count_max {
        let problem = FieldProblem::TooMany { count: entries.len(), count_max };
        return Err(FieldError::new(field, problem));
    }
    Ok(entries)
}

/// Checks every entry, and says which one is wrong.
pub(crate) fn each<W, T>(
    field: &'static str,
    entries: &[W],
    read: impl Fn(&W) -> Checked<T>,
) -> Checked<Vec<T>> {
    let read_indexed = |(index, entry)| {
        read(entry).map_err(|error: FieldError| error.within(format_args!("{field}[{index}]")))
    };
    entries.iter().enumerate().map(read_indexed).collect()
}

pub(crate) fn in_range(field: &'static str, value: u64, min: u64, max: u64) -> Checked<u64> {
    if !(min..=max).contains(&value) {
        return Err(FieldError::new(field, FieldProblem::OutOfRange { value, min, max }));
    }
    Ok(value)
}

pub(crate) fn duration(field: &'static str, ms: u64) -> Checked<Millis> {
    in_range(field, ms, 0, DURATION_MS_MAX).map(Millis)
}

pub(crate) fn po2(field: &'static str, value: u32) -> Checked<Po2> {
    Po2::try_from(value).map_err(|_| {
        let (min, max) = (Po2::MIN.into(), Po2::MAX.into());
        FieldError::new(field, FieldProblem::OutOfRange { value: value.into(), min, max })
    })
}

pub(crate) fn array<const N: usize>(field: &'static str, bytes: &[u8]) -> Checked<[u8; N]> {
    bytes.try_into().map_err(|_| {
        FieldError::new(field, FieldProblem::Size { actual: bytes.len(), expected: N })
    })
}

pub(crate) fn reference(field: &'static str, bytes: &[u8]) -> Checked<Reference> {
    array(field, bytes).map(Reference)
}

pub(crate) fn job_id(field: &'static str, bytes: &[u8]) -> Checked<JobId> {
    array(field, bytes).map(JobId)
}

pub(crate) fn lease(field: &'static str, lease: Option<&wire::LeaseId>) -> Checked<LeaseId> {
    LeaseId::from_wire(present(field, lease)?).map_err(|error| error.within(field))
}

pub(crate) fn node_id(field: &'static str, bytes: &[u8]) -> Checked<NodeId> {
    let id = array(field, bytes)?;
    iroh_base::PublicKey::from_bytes(&id)
        .map_err(|_| FieldError::new(field, FieldProblem::NotAKey))?;
    Ok(NodeId(id))
}

pub(crate) fn blob(field: &'static str, blob: Option<&wire::BlobRef>) -> Checked<BlobRef> {
    let blob = present(field, blob)?;
    let read = || {
        Ok(BlobRef {
            reference: reference("reference", &blob.reference)?,
            size_bytes: in_range("size_bytes", blob.size_bytes, 0, BLOB_SIZE_BYTES_MAX)?,
        })
    };
    read().map_err(|error: FieldError| error.within(field))
}

pub(crate) fn blob_to_wire(blob: BlobRef) -> wire::BlobRef {
    wire::BlobRef { reference: blob.reference.0.into(), size_bytes: blob.size_bytes }
}

pub(crate) fn kind(field: &'static str, code: u32) -> Checked<KindCode> {
    in_range(field, code.into(), 1, u32::MAX.into()).map(|_| KindCode(code))
}

pub(crate) fn task(field: &'static str, task: Option<&wire::Task>) -> Checked<Task> {
    let &wire::Task { kind: code, start, end } = present(field, task)?;
    let kind = kind("kind", code).map_err(|error| error.within(field))?;
    let range = IndexRange::new(start, end)
        .ok_or_else(|| FieldError::new(field, FieldProblem::EmptyRange { start, end }))?;
    Ok(Task { kind, range })
}

pub(crate) fn task_to_wire(Task { kind, range }: Task) -> wire::Task {
    wire::Task { kind: kind.0, start: range.start(), end: range.end() }
}

/// A proof system's name.
pub(crate) fn system(field: &'static str, name: &str) -> Checked<SystemName> {
    let name = bounded(field, name, SYSTEM_NAME_SIZE_BYTES_MAX)?;
    Ok(SystemName::new(clean(name)))
}

/// A list that has something in it, and not too much.
pub(crate) fn some_of<'a, T>(
    field: &'static str,
    entries: &'a [T],
    count_max: usize,
) -> Checked<&'a [T]> {
    if entries.is_empty() {
        return Err(FieldError::new(field, FieldProblem::Empty));
    }
    at_most(field, entries, count_max)
}
