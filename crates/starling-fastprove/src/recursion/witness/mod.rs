//! The trace of a program that ran: the columns that the circuit constrains.
//!
//! The data columns are what each row reads, computes and writes ([`data`]); the accumulator columns show that
//! what all rows use of the memory is one consistent memory ([`accum`]). Both are functions of the program, the
//! final memory and how often each address is used, so that all threads fill them at once, each cell once, and
//! neither is read back.
//!
//! The last rows of every column are [noise](Noise), which hides the trace: random elements, by a seed that comes from
//! outside.
//!
//! Nothing here checks the circuit's constraints: the receipt is verified when it is complete.

pub(crate) mod accum;
pub(crate) mod data;
mod extension;
mod noise;
mod uses;

pub(crate) use self::noise::Noise;
use super::program::Start;

/// The rows from one place where a thread can begin to the next, of every column.
struct Share<'a> {
    start: Start,
    columns: Vec<&'a mut [u32]>,
}

/// Cuts the first `rows` rows of each of `columns`, which are `column_len` long, at `starts`.
fn shares<'a>(
    columns: &'a mut [u32],
    column_len: usize,
    rows: usize,
    starts: &[Start],
) -> Vec<Share<'a>> {
    let ends = starts.iter().skip(1).map(|start| start.row).chain([rows]);
    let mut shares: Vec<_> = starts
        .iter()
        .map(|&start| Share { start, columns: Vec::with_capacity(columns.len() / column_len) })
        .collect();
    for column in columns.chunks_exact_mut(column_len) {
        let mut rest = column;
        for (share, end) in shares.iter_mut().zip(ends.clone()) {
            let (head, tail) = rest.split_at_mut(end - share.start.row);
            share.columns.push(head);
            rest = tail;
        }
    }
    shares
}

#[cfg(all(test, feature = "stock"))]
mod stock;
#[cfg(test)]
mod tests;
