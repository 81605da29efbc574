//! Beside RISC Zero's executor, which hashes a page at a time on one thread: the same segments to the byte. Live where the
//! feature `published` has it compiled; elsewhere beside what was recorded then.

use super::*;
use crate::{machine::CircuitSegment, testing::guest_bytes};

#[cfg(feature = "published")]
#[path = "../../../tests/replay/mod.rs"]
mod replay;

fn circuits(guest: &Guest, options: ExecuteOptions) -> Vec<CircuitSegment> {
    let (_, segments) = run(guest, options).unwrap();
    segments.iter().map(|segment| decode_segment(&segment.bytes).unwrap().circuit).collect()
}

/// Guests that do nothing but paging: what they are called where their segments are recorded, and the po2.
fn paging() -> [(&'static str, Guest, u32); 3] {
    let guest = |program: Tiny| Guest::parse(program.end(End::Halted(0))).unwrap();
    [
        ("paging: 3000 pages touched", guest(Tiny::touching(3000)), 18),
        ("paging: 40 pages touched", guest(Tiny::touching(40)), 14),
        // Pages of zeros that the image has, and that nobody looks at.
        ("paging: 8 MiB of zeros", guest(Tiny::zeroed(8 << 20)), 14),
    ]
}

#[test]
fn guests_that_do_nothing_but_paging_have_the_segments_that_were_recorded() {
    let recorded = segments::recorded();
    assert_eq!(recorded.len(), segments::CASES.len() + paging().len(), "what else is recorded");
    for (name, guest, po2) in paging() {
        let digest = segments::digest_of(&circuits(&guest, options(&[], po2)));
        assert_eq!(digest.to_string(), recorded[name], "{name}");
    }
}

#[test]
fn every_shipped_guest_has_the_image_id_that_the_published_loader_computes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/bin");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        let bytes = guest_bytes(&name);
        let expected = risc0_binfmt::compute_image_id(&bytes).unwrap();
        assert_eq!(Guest::parse(bytes).unwrap().image_id(), expected, "{name}");
    }
}

#[cfg(feature = "published")]
pub(super) mod live {
    use risc0_binfmt::ProgramBinary;
    use risc0_circuit_rv32im::execute as published;

    use super::*;

    use replay::{Replay, answers};

    /// Runs the guest here, then there with the same answers of its host; how both ended.
    fn compare(guest: &Guest, options: ExecuteOptions) -> Result<(), ExecuteError> {
        let po2 = options.segment_po2.get();
        let mut ours = Vec::new();
        let keep = |emitted| {
            if let Emitted::Segment(segment) = emitted {
                ours.push(decode_segment(&segment.bytes).unwrap().circuit);
            }
            Ok(())
        };
        let ended = execute(guest, options, keep, &AtomicBool::new(false)).map(drop);
        let image = ProgramBinary::decode(guest.bytes()).unwrap().to_image().unwrap();
        let host = Replay::new(answers(&ours));
        let mut ours = ours.iter();
        let mut executor = published::Executor::new(image, &host, None, vec![], None);
        let max_insn_cycles = if po2 >= 15 { MAX_INSN_CYCLES } else { MAX_INSN_CYCLES_LOWER_PO2 };
        let compare = |mut segment: published::Segment| {
            segment.po2 = segment.po2.max(SEGMENT_PO2_MIN);
            let ours = ours.next().expect("as many segments as there are");
            assert_eq!(segment.encode()?, ours.encode()?, "segment {}", segment.index);
            Ok(())
        };
        let limit = published::CycleLimit::None;
        // It panics on some guests.
        let run = AssertUnwindSafe(|| executor.run(po2 as usize, max_insn_cycles, limit, compare));
        let theirs = panic::catch(run).map(|result| result.map(drop));
        assert_eq!(matches!(theirs, Ok(Ok(()))), ended.is_ok(), "{theirs:?}, {ended:?}");
        assert_eq!(ours.count(), 0, "segments that are only ours");
        ended
    }

    #[test]
    fn shipped_guests_have_the_segments_that_the_published_executor_makes() {
        for case in segments::CASES {
            compare(&guest(&format!("{}.bin", case.guest)), case.options()).unwrap();
        }
    }

    #[test]
    fn guests_that_do_nothing_but_paging_have_the_segments_that_the_published_executor_makes() {
        for (_, guest, po2) in paging() {
            compare(&guest, options(&[], po2)).unwrap();
        }
    }

    /// The names and digests of the published executor's segments of guests that do nothing but paging.
    #[cfg(feature = "stock")]
    pub(in super::super) fn paging_digests() -> impl Iterator<Item = (String, String)> {
        paging().into_iter().map(|(name, guest, po2)| {
            compare(&guest, options(&[], po2)).unwrap();
            let the_same = segments::digest_of(&circuits(&guest, options(&[], po2)));
            (name.to_owned(), the_same.to_string())
        })
    }

    /// Guests that are not shipped: those that fault, that come from other compilers and with other kernels, that are large.
    #[test]
    #[ignore = "STARLING_GUESTS names a folder of guests, which are run with no input"]
    fn other_guests_have_the_ids_and_segments_that_the_published_executor_makes() {
        let folder = std::env::var_os("STARLING_GUESTS").expect("STARLING_GUESTS names a folder");
        let mut compared = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let expected = panic::catch(|| risc0_binfmt::compute_image_id(&bytes));
            let guest = match (Guest::parse(bytes.clone()), expected) {
                (Ok(guest), Ok(Ok(expected))) => {
                    assert_eq!(guest.image_id(), expected, "{}", path.display());
                    guest
                }
                (ours, theirs) => {
                    println!("{}: {:?}; {theirs:?}", path.display(), ours.map(|_| "a guest"));
                    continue;
                }
            };
            let ended = compare(&guest, options(&[], 18));
            println!("{}: {ended:?}", path.display());
            compared += 1;
        }
        assert!(compared > 0, "no guest");
    }
}
