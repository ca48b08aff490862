//! Cuts a stream of bytes into lines.

use std::io::{self, BufRead, BufReader, Read};

/// The longest line; longer ones are handed on in pieces.
pub(super) const MAX_LINE: usize = 1024 * 1024;

/// Hands on every line without its end, until the stream ends or nobody listens (`hand` says
/// `false`). What stands after the last line end is a line too.
pub(super) fn cut(stream: impl Read, hand: &mut dyn FnMut(Vec<u8>) -> bool) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(64 * 1024, stream);
    let mut line = Vec::new();
    loop {
        let room = MAX_LINE - line.len();
        let buffered = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if buffered.is_empty() {
            break;
        }
        let piece = &buffered[..buffered.len().min(room)];
        let end = piece.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
        let used = end.map_or(piece.len(), |end| end + 1);
        reader.consume(used);
        if (end.is_some() || line.len() == MAX_LINE) && !hand(std::mem::take(&mut line)) {
            return Ok(());
        }
    }
    if !line.is_empty() {
        hand(line);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        cut(bytes, &mut |line| {
            lines.push(line);
            true
        })
        .unwrap();
        lines
    }

    #[test]
    fn lines_are_what_stands_between_line_ends() {
        let table: [(&[u8], &[&[u8]]); 6] = [
            (b"", &[]),
            (b"a", &[b"a"]),
            (b"a\n", &[b"a"]),
            (b"a\nb", &[b"a", b"b"]),
            (b"\n\n", &[b"", b""]),
            (b"\xff\r\n\0", &[b"\xff\r", b"\0"]),
        ];
        for (bytes, expected) in table {
            assert_eq!(lines(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_line_too_long_comes_in_pieces() {
        let mut bytes = vec![b'x'; MAX_LINE * 2 + 3];
        bytes.extend_from_slice(b"\nend");
        let lengths: Vec<usize> = lines(&bytes).iter().map(Vec::len).collect();
        assert_eq!(lengths, [MAX_LINE, MAX_LINE, 3, 3]);
    }

    #[test]
    fn it_ends_when_nobody_listens() {
        let mut count = 0;
        cut(&b"a\nb\nc\n"[..], &mut |_| {
            count += 1;
            count < 2
        })
        .unwrap();
        assert_eq!(count, 2);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(parts in prop::collection::vec("[a-c]{0,3}", 0..6)) {
            let text = parts.join("\n");
            let joined = lines(text.as_bytes()).join(&b'\n');
            // A line end at the very end is the one thing lines do not say.
            let text = text.strip_suffix('\n').unwrap_or(&text);
            prop_assert_eq!(joined, text.as_bytes());
        }
    }
}
