//! The steps of a proof, by name, for who measures them: each is a `tracing` span of level debug.

/// Does `work` in a span called `phase`, with the field `name`.
pub fn phase<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    let _span = tracing::debug_span!("phase", name).entered();
    work()
}
