//! Memory images of RISC Zero's zkVM, and the hash tree that image ids and segments are made of.
//!
//! The zkVM's memory is 2^22 pages of 1 KiB under a binary tree of Poseidon2 digests. Here the tree is brought up to
//! date in one go for all pages that were written: those that changed, as many at a time as vectors have lanes, on
//! all threads of the rayon pool, then level by level what is above them. Pages of zeros, written or not, cost nothing: the
//! digest of a subtree without anything in it is a constant.
//!
//! - [`Image`] is a memory and its tree; [`Image::of_program`] loads one from the two ELFs of a program binary.
//! - [`PartialImage`] is what a segment carries of an image: the pages that it touches, and the digests beside their
//!   way to the root. It is serialised as RISC Zero serialises its own.
//!
//! Everything equals what `risc0_binfmt::MemoryImage` computes with one lane on one thread, a page at a time.
//!
//! ```
//! use risc0_binfmt::{Page, WordAddr};
//! use starling_image::Image;
//!
//! let mut image = Image::default();
//! let empty = image.image_id();
//! let mut page = Page::default();
//! page.store(WordAddr(0), 1);
//! image.set_page(7, page);
//! assert_ne!(image.image_id(), empty);
//! image.set_page(7, Page::default());
//! assert_eq!(image.image_id(), empty);
//! ```

mod image;
mod load;
mod partial;
mod tree;

#[cfg(test)]
mod tests;

pub use self::{
    image::Image,
    load::{ElfError, LoadError},
    partial::PartialImage,
    tree::MEMORY_PAGES,
};
