//! Numbers, sizes, durations and tables as people read them.

mod layers;
pub(crate) mod picture;
pub(crate) mod svg;

use std::collections::BTreeMap;

use crate::fs::LinkKind;
use crate::ops::diff::DataChange;
use crate::tree::ChangeKind;

/// Bytes in binary units, three digits.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Seconds as `0.2s`, `12s`, `1m 12s`, `2h 5m`.
pub(crate) fn duration(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "durations are small and positive"
    )]
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1}s"),
        10..60 => format!("{whole}s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        _ => format!("{}h {}m", whole / 3600, whole % 3600 / 60),
    }
}

/// `1 file`, `3 files`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    match (n, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) if !stem.ends_with('a') => format!("{n} {stem}ies"),
        _ => format!("{n} {noun}s"),
    }
}

/// `3 files are hard links`; `None` for none.
pub(crate) fn links(links: &BTreeMap<LinkKind, u64>) -> Option<String> {
    let texts = links.iter().map(|(kind, n)| {
        let kind = match kind {
            LinkKind::Hardlink => "hard",
            _ => "symbolic",
        };
        match n {
            1 => format!("1 file is a {kind} link"),
            n => format!("{n} files are {kind} links"),
        }
    });
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// How a column of a table stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows with their columns lined up, two spaces apart, no spaces at the end.
pub(crate) fn table(rows: &[Vec<String>], align: &[Align]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let fill = " ".repeat(widths[column] - cell.chars().count());
            match align.get(column) {
                Some(Align::Right) => format!("{fill}{cell}"),
                _ => format!("{cell}{fill}"),
            }
        });
        let cells: Vec<String> = cells.collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Rows as a Markdown table, the first one its head.
pub(crate) fn markdown(rows: &[Vec<String>], align: &[Align]) -> Vec<String> {
    let escape = |cell: &String| cell.replace('|', "\\|");
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().map(escape).collect();
        format!("| {} |", cells.join(" | "))
    };
    let rule = |column: usize| match align.get(column) {
        Some(Align::Right) => "--:",
        _ => "---",
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    if let Some(head) = rows.first() {
        let rules: Vec<&str> = (0..head.len()).map(rule).collect();
        lines.insert(1, format!("| {} |", rules.join(" | ")));
    }
    lines
}

/// A JSON scalar as people write it: strings bare, the rest as it is.
pub(crate) fn value(value: Option<&serde_json::Value>) -> String {
    match value {
        None => "–".to_owned(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A number of a metric: four digits behind the point unless it is whole.
pub(crate) fn metric(value: Option<&serde_json::Value>) -> String {
    match value {
        Some(serde_json::Value::Number(number)) if number.is_f64() => {
            format!("{:.4}", number.as_f64().unwrap_or(f64::NAN))
        }
        other => self::value(other),
    }
}

/// The mark of a change.
pub(crate) fn mark(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Added => '+',
        ChangeKind::Modified => '~',
        ChangeKind::Deleted => '-',
        ChangeKind::Renamed => '→',
    }
}

/// A changed path on one line.
pub(crate) fn change(change: &DataChange) -> String {
    let mut line = format!("{} {}", mark(change.kind), change.path);
    if let Some(from) = &change.from {
        line.push_str(&format!("  (was {from})"));
    }
    let sizes = (change.old_size, change.new_size);
    match sizes {
        (Some(old), Some(new)) if old != new => {
            line.push_str(&format!("  {} → {}", size(old), size(new)));
        }
        (_, Some(bytes)) | (Some(bytes), None) => line.push_str(&format!("  {}", size(bytes))),
        (None, None) => {}
    }
    if change.whole {
        line.push_str("  (directory; its listing is not here)");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10_230, "9.99 KiB"),
            (10_240, "10.0 KiB"),
            (1_048_575, "1.00 MiB"),
            (1_181_116_006, "1.10 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn durations_lose_digits_as_they_grow() {
        for (seconds, text) in [
            (0.04, "0.0s"),
            (4.12, "4.1s"),
            (12.3, "12s"),
            (72.0, "1m 12s"),
            (7500.0, "2h 5m"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn counts_agree_with_their_noun() {
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(3, "file"), "3 files");
        assert_eq!(count(2, "directory"), "2 directories");
        assert_eq!(count(40, "day"), "40 days");
    }

    #[test]
    fn tables_line_up() {
        let rows = [["a", "1"], ["long", "100"]].map(|row| row.map(str::to_owned).to_vec());
        let align = [Align::Left, Align::Right];
        assert_eq!(table(&rows, &align), ["a       1", "long  100"]);
        assert_eq!(
            markdown(&rows, &align),
            ["| a | 1 |", "| --- | --: |", "| long | 100 |"]
        );
    }
}
