//! Segments of the shipped guests, for tests and benchmarks.

use std::{fs, io::Cursor, path::Path, sync::atomic::AtomicBool};

use starling_zkvm::{Emitted, ExecuteOptions, Guest, codec, execute};

/// The guest's randomness: always the same, so that segments are.
const SEED: [u8; 32] = [3; 32];

/// The first segments of a guest's run, of at most 2^po2 rows, each as it is serialized when it travels.
pub fn segments(guest: &str, input: &str, po2: u32, count: usize) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests");
    let read = |folder: &Path, name: &str| fs::read(folder.join(name)).expect("a shipped file");
    let guest = Guest::parse(read(&folder.join("bin"), guest)).expect("a guest");
    let options = ExecuteOptions {
        input: Box::new(Cursor::new(read(&folder.join("inputs"), input))),
        ..ExecuteOptions::new(po2.try_into().expect("a po2"), SEED)
    };
    let mut segments = Vec::new();
    let keep = |emitted| {
        if let Emitted::Segment(segment) = emitted
            && segments.len() < count
        {
            let segment = codec::decode_segment(&segment.bytes)?;
            segments.push(bincode::serialize(&segment)?);
        }
        Ok(())
    };
    execute(&guest, options, keep, &AtomicBool::new(false)).expect("the guest runs");
    segments
}
