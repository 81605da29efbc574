//! Runs of rows, across columns, as pieces of work that threads can take.

/// Rows of a tile where what a kernel keeps beside it grows with them: a page of each column, long enough for the
/// prefetchers.
pub(super) const TILE_ROWS: usize = 1024;

/// Cuts columns of `rows` words into tiles: for each run of at most `tile_rows` rows, its first row and
/// its part of every column.
pub(super) fn tiles_mut(
    matrix: &mut [u32],
    rows: usize,
    tile_rows: usize,
) -> Vec<(usize, Vec<&mut [u32]>)> {
    let columns = matrix.len() / rows;
    let mut tiles: Vec<_> =
        (0..rows).step_by(tile_rows).map(|row| (row, Vec::with_capacity(columns))).collect();
    for column in matrix.chunks_exact_mut(rows) {
        for (part, (_, tile)) in column.chunks_mut(tile_rows).zip(&mut tiles) {
            tile.push(part);
        }
    }
    tiles
}
