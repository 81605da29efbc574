//! Which program a guest asked for, when all that its call shows is the digest of a claim.
//!
//! The guest has just hashed that claim, and RISC Zero's allocator for guests never uses memory twice: what was
//! hashed is usually still there. It is looked for only when an execution has failed, and only for the message.

use risc0_zkp::core::{
    digest::{DIGEST_BYTES, Digest},
    hash::sha::{Impl as Sha256, Sha256 as _},
};

use crate::machine::SyscallContext;

/// The tag of a claim's digest: the hash of a claim begins with the hash of its type's name.
const CLAIM_TAG: &[u8] = b"risc0.ReceiptClaim";

/// What is hashed of a claim: the tag, then input, pre-state, post-state and output as digests, two words of exit
/// code, and the count of digests.
const CLAIM_BYTES: usize = 5 * DIGEST_BYTES + 2 * 4 + 2;

/// Where the pre-state's digest, which is the image id, is in that.
const PRE_AT: usize = 2 * DIGEST_BYTES;

const PAGE_BYTES: u32 = 1024;

/// The most pages that are looked at: 64 MiB from the heap's beginning, a fraction of a second.
const PAGES_MAX: u32 = 64 << 10;

/// The heap has ended where so many pages (4 MiB) hold nothing.
const EMPTY_PAGES_MAX: u32 = 4 << 10;

/// The first page that belongs to the kernel.
const USER_PAGES_END: u32 = 0xc000_0000 / PAGE_BYTES;

/// The image id in the claim of this digest, if the claim is in the guest's memory after `from`.
pub(super) fn of_claim(ctx: &mut impl SyscallContext, from: u32, claim: &Digest) -> Option<Digest> {
    let first = from / PAGE_BYTES;
    let pages = first..first.saturating_add(PAGES_MAX).min(USER_PAGES_END);
    search(pages.map_while(|page| ctx.peek_page(page).ok()), claim)
}

fn search(pages: impl Iterator<Item = Vec<u8>>, claim: &Digest) -> Option<Digest> {
    let tag = Sha256::hash_bytes(CLAIM_TAG);
    // A page, and before it what may have begun on the page before.
    let mut window: Vec<u8> = Vec::new();
    let mut empty_pages = 0;
    for page in pages {
        empty_pages = if page.iter().all(|byte| *byte == 0) { empty_pages + 1 } else { 0 };
        if empty_pages > EMPTY_PAGES_MAX {
            return None;
        }
        window.extend(page);
        let found = window.windows(CLAIM_BYTES).find(|bytes| {
            bytes.starts_with(tag.as_bytes()) && *Sha256::hash_bytes(bytes) == *claim
        });
        if let Some(bytes) = found {
            return Digest::try_from(&bytes[PRE_AT..PRE_AT + DIGEST_BYTES]).ok();
        }
        window.drain(..window.len().saturating_sub(CLAIM_BYTES - 1));
    }
    None
}

#[cfg(test)]
mod tests {
    use risc0_binfmt::Digestible as _;
    use risc0_zkvm::ReceiptClaim;

    use super::*;

    fn claim() -> ReceiptClaim {
        ReceiptClaim::ok(Digest::from([5; 8]), b"journal".to_vec())
    }

    /// What a guest hashes of its claim.
    fn hashed(claim: &ReceiptClaim) -> Vec<u8> {
        let mut bytes = Sha256::hash_bytes(CLAIM_TAG).as_bytes().to_vec();
        for digest in [
            claim.input.digest::<Sha256>(),
            claim.pre.digest::<Sha256>(),
            claim.post.digest::<Sha256>(),
            claim.output.digest::<Sha256>(),
        ] {
            bytes.extend(digest.as_bytes());
        }
        bytes.extend([0; 8]);
        bytes.extend(4_u16.to_le_bytes());
        bytes
    }

    fn found(memory: &[u8]) -> Option<Digest> {
        let pages = memory.chunks(PAGE_BYTES as usize).map(<[u8]>::to_vec);
        search(pages, &claim().digest::<Sha256>())
    }

    #[test]
    fn a_claim_in_memory_names_its_program_wherever_it_lies() {
        let bytes = hashed(&claim());
        assert_eq!(bytes.len(), CLAIM_BYTES);
        for at in [0, 1, 900, 1023, 5000] {
            let mut memory = vec![0; at];
            // Another claim, which is not the one that is looked for.
            memory.extend(hashed(&ReceiptClaim::ok(Digest::from([6; 8]), vec![])));
            memory.extend(&bytes);
            memory.resize(9000, 0);
            assert_eq!(found(&memory), Some(Digest::from([5; 8])), "at {at}");
        }
    }

    #[test]
    fn what_is_not_in_memory_is_not_guessed() {
        let mut bytes = hashed(&claim());
        bytes[100] ^= 1;
        assert_eq!(found(&bytes), None);
        assert_eq!(found(&[]), None);
    }

    #[test]
    fn the_search_ends_where_the_heap_does() {
        let mut memory = vec![0; (EMPTY_PAGES_MAX * PAGE_BYTES) as usize];
        memory.extend(hashed(&claim()));
        assert!(found(&memory).is_some());
        let farther = [vec![0; 2 * PAGE_BYTES as usize], memory].concat();
        assert_eq!(found(&farther), None);
    }
}
