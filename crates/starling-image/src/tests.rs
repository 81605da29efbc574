//! The same as RISC Zero computes, for memories written at random and for programs.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use risc0_binfmt::{MemoryImage, Page, Program, ProgramBinary, WordAddr};
use risc0_zkos_v1compat::V1COMPAT_ELF;
use risc0_zkp::core::digest::Digest;

use super::*;

/// A page of a few words, or of zeros.
fn page(words: &[(u32, u32)]) -> Page {
    let mut page = Page::default();
    for &(at, word) in words {
        page.store(WordAddr(at), word);
    }
    page
}

/// Pages close together and far apart, some more than once.
fn page_index() -> impl Strategy<Value = u32> {
    prop_oneof![0..20_u32, 0x4_0000..0x4_0100_u32, MEMORY_PAGES - 3..MEMORY_PAGES]
}

/// The words of a page that are set.
type Words = Vec<(u32, u32)>;

fn words() -> impl Strategy<Value = Words> {
    prop::collection::vec((0..256_u32, prop_oneof![Just(0), any::<u32>()]), 0..4)
}

/// What a segment does: pages that it writes, and pages that it only reads.
fn segment() -> impl Strategy<Value = (BTreeMap<u32, Words>, BTreeSet<u32>)> {
    let written = prop::collection::btree_map(page_index(), words(), 0..40);
    (written, prop::collection::btree_set(page_index(), 1..20))
}

/// The leaves of pages and all nodes above them.
fn nodes(pages: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
    let up = |leaf| std::iter::successors(Some(leaf), |node| (*node > 1).then_some(node / 2));
    pages.into_iter().flat_map(|page| up(MEMORY_PAGES + page)).collect()
}

/// The part of an image with these nodes, made of RISC Zero's own type.
fn risc0_partial(image: &mut MemoryImage, nodes: &BTreeSet<u32>) -> MemoryImage {
    let mut part = MemoryImage::default();
    for &leaf in nodes.range(MEMORY_PAGES..) {
        let page = image.get_page(leaf - MEMORY_PAGES).unwrap();
        part.set_page_with_digest(leaf - MEMORY_PAGES, page, *image.get_digest(leaf).unwrap());
    }
    let children = nodes.range(..MEMORY_PAGES).flat_map(|node| [2 * node, 2 * node + 1]);
    for beside in children.filter(|child| !nodes.contains(child)) {
        part.set_digest(beside, *image.get_digest(beside).unwrap());
    }
    part.update_digests();
    part
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_segments_touch_roots_and_parts_are_those_of_risc_zero(
        segments in prop::collection::vec(segment(), 1..5)
    ) {
        let (mut ours, mut theirs) = (Image::default(), MemoryImage::default());
        prop_assert_eq!(ours.image_id(), theirs.image_id());
        for (written, read) in segments {
            let touched = nodes(written.keys().chain(&read).copied());
            let part = ours.partial(&touched);
            let expected = risc0_partial(&mut theirs, &touched);
            let bytes = bincode::serialize(&part).unwrap();
            prop_assert_eq!(&bytes, &bincode::serialize(&expected).unwrap());
            let read: PartialImage = bincode::deserialize(&bytes).unwrap();
            prop_assert_eq!(bytes, bincode::serialize(&read).unwrap());
            for (index, words) in written {
                let page = page(&words);
                ours.set_page(index, page.clone());
                theirs.set_page(index, page);
            }
            theirs.update_digests();
            prop_assert_eq!(ours.image_id(), theirs.image_id());
        }
    }
}

#[test]
fn a_part_with_digests_out_of_date_is_refused() {
    let mut image = MemoryImage::default();
    let read = |image: &MemoryImage| {
        bincode::deserialize::<PartialImage>(&bincode::serialize(image).unwrap())
    };
    assert!(read(&image).is_ok());
    image.set_page(5, page(&[(3, 7)]));
    let error = read(&image).unwrap_err().to_string();
    assert!(error.contains("out of date"), "{error}");
}

#[test]
fn a_page_that_becomes_zero_again_is_as_if_it_had_never_been_written() {
    let mut image = Image::default();
    let empty = image.image_id();
    image.set_page(5, page(&[(3, 7)]));
    assert_ne!(image.image_id(), empty);
    image.set_page(5, page(&[]));
    assert_eq!(image.image_id(), empty);
}

#[test]
fn a_page_that_is_written_as_it_was_is_not_hashed_again() {
    let mut image = Image::default();
    image.set_page(5, page(&[(3, 7)]));
    image.set_page(6, page(&[]));
    let before = image.image_id();
    image.set_page(5, page(&[(3, 7)]));
    image.set_page(6, page(&[]));
    assert!(image.is_current());
    assert_eq!(image.image_id(), before);
}

#[test]
fn the_id_of_an_empty_memory_is_the_recorded_one() {
    let id = Image::default().image_id();
    assert_eq!(id, MemoryImage::default().image_id());
    let recorded = "f85c5a32ccc45c22f9686b08d710d4597d7ce256cdcd63146426270d9432c644";
    assert_eq!(id.to_string(), recorded);
}

/// An ELF with a program header for each `(address, content, size in memory)`.
fn elf(entry: u32, segments: &[(u32, &[u8], u32)]) -> Vec<u8> {
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    for half in [2_u16, 243] {
        file.extend(half.to_le_bytes());
    }
    for word in [1, entry, 52, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [52, 32, segments.len() as u16, 40, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut at = 52 + 32 * segments.len();
    for (address, content, memory) in segments {
        for word in [1, at as u32, *address, *address, content.len() as u32, *memory, 7, 4] {
            file.extend(word.to_le_bytes());
        }
        at += content.len();
    }
    segments.iter().for_each(|(_, content, _)| file.extend(*content));
    file
}

/// What both loaders make of an ELF: the id of the memory, or nothing.
fn load_both(user_elf: &[u8]) -> [Option<Digest>; 2] {
    let ours = Image::of_program(user_elf, V1COMPAT_ELF).ok();
    let theirs = ProgramBinary::new(user_elf, V1COMPAT_ELF).compute_image_id().ok();
    [ours.map(|mut image| image.program_id()), theirs]
}

#[track_caller]
fn assert_loads_as_risc_zero_does(user_elf: &[u8]) {
    let [ours, theirs] = load_both(user_elf);
    assert!(theirs.is_some(), "RISC Zero loads it");
    assert_eq!(ours, theirs);
}

#[test]
fn programs_load_as_risc_zero_loads_them_whatever_their_segments() {
    let code: Vec<u8> = (1..=255).cycle().take(3000).collect();
    let at = 0x0020_0800;
    for segments in [
        // A page, less, more, with bytes that are not a whole word, and with zeros behind.
        &[(at, &code[..1024], 1024_u32)][..],
        &[(at, &code[..7], 7)],
        &[(at, &code[..7], 9)],
        &[(at + 1000, &code[..2500], 2500)],
        &[(at + 4, &code[..2500], 9000)],
        // More in the file than in memory.
        &[(at, &code[..100], 50), (at + 2000, &code[..6], 5)],
        // Segments over segments: content over content, zeros over content, content over zeros.
        &[(at, &code[..3000], 3000), (at + 500, &code[7..1007], 1000)],
        &[(at, &code[..3000], 3000), (at + 500, &[], 1600)],
        &[(at, &[], 4000), (at + 500, &code[..1000], 1000)],
        // Over the word that says where the program begins, and nothing at all.
        &[(0x0000_ff00, &code[..1000], 1000)],
        &[(at, &[], 0), (0xbfff_fff8, &code[..8], 8)],
        &[],
    ] {
        assert_loads_as_risc_zero_does(&elf(at, segments));
    }
}

#[test]
fn a_program_over_its_kernel_loads_as_risc_zero_loads_it() {
    let kernel = elf(0xc000_0000, &[(0x0020_0000, &[9; 2000], 3000), (0xc000_0000, &[8; 8], 8)]);
    let user = elf(0x0020_0000, &[(0x0020_0200, &[7; 300], 1500)]);
    let mut ours = Image::of_program(&user, &kernel).unwrap();
    let theirs = MemoryImage::with_kernel(
        Program::load_elf(&user, 0xc000_0000).unwrap(),
        Program::load_elf(&kernel, u32::MAX).unwrap(),
    );
    assert_eq!(ours.image_id(), theirs.clone().image_id());
    for (index, page) in theirs.into_pages() {
        assert_eq!(ours.page(index).data(), page.data(), "page {index:#x}");
    }
}

#[test]
fn what_risc_zero_does_not_load_is_not_loaded() {
    let at = 0x0020_0800;
    let ok: (u32, &[u8], u32) = (at, &[1; 8], 8);
    let mut files = vec![
        elf(at + 2, &[ok]),
        elf(0xc000_0000, &[ok]),
        elf(at, &[(at + 1, &[1; 8], 8)]),
        elf(at, &[(0xbfff_fff8, &[1; 8], 12)]),
        elf(at, &[(0xffff_fffc, &[1; 8], 8)]),
        elf(at, &[(at, &[1; 8], 0xc000_0000)]),
        elf(at, &[ok; 257]),
        b"not an ELF".to_vec(),
        vec![],
    ];
    let good = elf(at, &[ok]);
    files.push(good[..good.len() - 1].to_vec());
    // Another class, type and machine.
    files.extend([4, 16, 18].map(|at| {
        let mut other = good.clone();
        other[at] = 3;
        other
    }));
    for (nth, file) in files.iter().enumerate() {
        assert_eq!(load_both(file), [None, None], "file {nth}");
    }
    assert_loads_as_risc_zero_does(&good);
}

#[test]
fn errors_say_which_program_and_where() {
    let at = 0x0020_0800;
    let kernel = elf(0xc000_0000, &[]);
    let cut = elf(at, &[(at, &[1; 8], 8)]);
    let error = Image::of_program(&cut[..cut.len() - 1], &kernel).unwrap_err();
    assert_eq!(error, LoadError::User(ElfError::CutOff { address: at.into() }));
    assert_eq!(
        error.to_string(),
        "the user program's segment at 0x200800 goes beyond the end of the file"
    );
    let error = Image::of_program(&elf(at, &[]), &elf(2, &[])).unwrap_err();
    assert_eq!(error, LoadError::Kernel(ElfError::BadEntry { address: 2 }));
}

proptest! {
    #[test]
    fn a_damaged_program_loads_as_risc_zero_loads_it_or_not_at_all(
        at in 0..(52 + 64_usize), bit in 0..8_u32
    ) {
        let mut file = elf(0x0020_0800, &[(0x0020_0800, &[5; 99], 99), (0x0030_0000, &[6; 9], 9999)]);
        file[at] ^= 1 << bit;
        // Sizes of hundreds of megabytes take RISC Zero's loader minutes.
        let large = [52 + 20, 52 + 32 + 20].iter().any(|size| (size + 2..size + 4).contains(&at));
        if !large {
            let [ours, theirs] = load_both(&file);
            prop_assert_eq!(ours, theirs);
        }
    }
}
