//! Tables on a terminal: columns as wide as their longest cell.

/// The lines of a table, its head included, each with its end.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        longest.max(head[column].len())
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let padded = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let head = padded(&head.map(str::to_owned));
    rows.iter().fold(head, |text, row| text + &padded(row))
}
