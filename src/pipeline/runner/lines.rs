//! Cuts a stream of bytes into lines.

/// The longest line; longer ones are handed on in pieces.
pub(super) const MAX_LINE: usize = 1024 * 1024;

/// What came of a stream behind its last line end.
#[derive(Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// Takes more of the stream, and hands on every line that ends there without its end.
    pub(super) fn take(&mut self, mut bytes: &[u8], hand: &mut dyn FnMut(Vec<u8>)) {
        while !bytes.is_empty() {
            let room = MAX_LINE - self.0.len();
            let piece = &bytes[..bytes.len().min(room)];
            let end = piece.iter().position(|byte| *byte == b'\n');
            self.0
                .extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
            bytes = &bytes[end.map_or(piece.len(), |end| end + 1)..];
            if end.is_some() || self.0.len() == MAX_LINE {
                hand(std::mem::take(&mut self.0));
            }
        }
    }

    /// The stream is over: what stands after the last line end is a line too.
    pub(super) fn finish(self, hand: &mut dyn FnMut(Vec<u8>)) {
        if !self.0.is_empty() {
            hand(self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lines of a stream that comes in pieces of this length.
    fn lines_of(bytes: &[u8], length: usize) -> Vec<Vec<u8>> {
        let (mut lines, mut rest) = (Vec::new(), Lines::default());
        for piece in bytes.chunks(length) {
            rest.take(piece, &mut |line| lines.push(line));
        }
        rest.finish(&mut |line| lines.push(line));
        lines
    }

    fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
        lines_of(bytes, 64 * 1024)
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

    proptest! {
        #[test]
        fn nothing_is_lost(
            parts in prop::collection::vec("[a-c]{0,3}", 0..6), length in 1..5_usize,
        ) {
            let text = parts.join("\n");
            let joined = lines_of(text.as_bytes(), length).join(&b'\n');
            // A line end at the very end is the one thing lines do not say.
            let text = text.strip_suffix('\n').unwrap_or(&text);
            prop_assert_eq!(joined, text.as_bytes());
        }
    }
}
