//! Reading the little-endian fields and varints of remote objects, never past their end.

/// Why bytes are not what they should be; the caller knows which object they are.
pub(super) type Decoded<T> = Result<T, &'static str>;

const SHORT: &str = "it is too short";

/// What is left to read.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// How many bytes are left.
    pub(super) fn remaining(&self) -> usize {
        self.0.len()
    }

    pub(super) fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*front)
    }

    pub(super) fn take(&mut self, length: usize) -> Decoded<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(front)
    }

    pub(super) fn expect(&mut self, bytes: &[u8], otherwise: &'static str) -> Decoded<()> {
        if self.take(bytes.len())? == bytes {
            Ok(())
        } else {
            Err(otherwise)
        }
    }

    pub(super) fn byte(&mut self) -> Decoded<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Decoded<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Decoded<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn zeros(&mut self, count: usize) -> Decoded<()> {
        if self.take(count)?.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err("its reserved bytes are not zero")
        }
    }

    /// LEB128, minimal.
    pub(super) fn varint(&mut self) -> Decoded<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                return Err("a varint is too large");
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err("a varint is not minimal");
                }
                return Ok(value);
            }
        }
        Err("a varint is too long")
    }

    pub(super) fn end(self) -> Decoded<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err("bytes follow its end")
        }
    }
}

/// Appends LEB128, minimal.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Splits off the 32 bytes at the end that are the BLAKE3 of all before, if they are.
pub(super) fn split_checksum(bytes: &[u8]) -> Decoded<&[u8]> {
    let (body, checksum) = bytes.split_last_chunk::<32>().ok_or(SHORT)?;
    if crate::hash::Digest::of(body).as_bytes() == checksum {
        Ok(body)
    } else {
        Err("its checksum differs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn varints_are_minimal_and_fit() {
        let bad: [&[u8]; 6] = [
            &[],
            &[0x80],
            &[0x80, 0x00],
            &[0xFF; 10],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02],
            &[
                0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01,
            ],
        ];
        for bytes in bad {
            assert!(Reader::new(bytes).varint().is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn varints_survive(value: u64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn a_varint_that_is_read_is_written_the_same(
            bytes in prop::collection::vec(any::<u8>(), 1..12),
        ) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.varint() {
                let mut written = Vec::new();
                put_varint(&mut written, value);
                prop_assert_eq!(&written[..], &bytes[..bytes.len() - reader.remaining()]);
            }
        }
    }
}
