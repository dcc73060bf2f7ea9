// SPDX-License-Identifier: GPL-2.0

//! Tables without borders.

use comfy_table::Table;
use comfy_table::presets::NOTHING;

/// Lines of aligned cells.
pub fn lines<R>(rows: impl IntoIterator<Item = R>) -> Vec<String>
where
    R: IntoIterator<Item = String>,
{
    let mut table = Table::new();
    table.load_preset(NOTHING);
    for row in rows {
        table.add_row(row);
    }
    // The first cell is padded, too.
    let text = table.trim_fmt();
    text.lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned())
        .collect()
}
