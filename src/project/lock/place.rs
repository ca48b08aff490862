//! Where in the text of a lock something stands.

use std::ops::Range;

use crate::project::Location;
use crate::project::layout::LOCK;

/// The place of a range of bytes; of a range over several lines, its first line.
pub(super) fn locate(text: &str, span: Range<usize>) -> Location {
    let start = floor_char(text, span.start);
    let end = floor_char(text, span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let marked = &text[start..end.min(line_end)];
    Location {
        file: LOCK.to_owned(),
        line: text[..start].matches('\n').count() + 1,
        column: text[line_start..start].chars().count() + 1,
        width: marked.chars().count().max(1),
        text: text[line_start..line_end].trim_end_matches('\r').to_owned(),
    }
}

fn floor_char(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|&index| text.is_char_boundary(index))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let text = "a\r\né = \"日本\" x\nlast";
        let at = text.find('日').unwrap();
        let place = locate(text, at..at + 6);
        assert_eq!((place.line, place.column, place.width), (2, 6, 2));
        assert_eq!(place.text, "é = \"日本\" x");
        let over = locate(text, at..text.len());
        assert_eq!((over.line, over.width), (2, 5));
    }

    #[test]
    fn any_range_has_a_place() {
        let text = "é\n";
        for start in 0..6 {
            for end in 0..6 {
                let place = locate(text, start..end);
                assert!(place.line <= 2 && place.column >= 1 && place.width >= 1);
            }
        }
    }
}
