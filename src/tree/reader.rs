//! Taking the parts of a node off the front of its bytes.

use super::Fault;
use crate::hash::Digest;

/// What is left of the bytes of a node.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Fault::CutShort)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Fault::CutShort)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn digest(&mut self) -> Result<Digest, Fault> {
        self.array().map(Digest::from_bytes)
    }

    /// A number in LEB128. A last byte of zero would be a longer form of the same number.
    pub(super) fn varint(&mut self) -> Result<u64, Fault> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Fault::Varint);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                let is_shortest = byte != 0 || shift == 0;
                return is_shortest.then_some(number).ok_or(Fault::Varint);
            }
        }
        Err(Fault::Varint)
    }

    /// A number of bytes that lie in this node; more than are left is refused here, so that it
    /// can be added to others without fear.
    pub(super) fn length(&mut self) -> Result<usize, Fault> {
        let length = usize::try_from(self.varint()?).map_err(|_| Fault::CutShort)?;
        if length > super::MAX_NODE {
            return Err(Fault::CutShort);
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        let max = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        let good: [(&[u8], u64); 5] = [
            (&[0], 0),
            (&[127], 127),
            (&[128, 1], 128),
            (&[0xe5, 0x8e, 0x26], 624_485),
            (&max, u64::MAX),
        ];
        for (bytes, number) in good {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.varint(), Ok(number));
            assert!(reader.rest().is_empty());
        }
        let too_wide = [255, 255, 255, 255, 255, 255, 255, 255, 255, 2];
        let too_long = [128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0];
        let bad: [&[u8]; 5] = [
            &[128, 0],
            &[255, 128, 0],
            &too_wide,
            &too_long,
            &[0x81, 0x80, 0],
        ];
        for bytes in bad {
            assert_eq!(Reader::new(bytes).varint(), Err(Fault::Varint), "{bytes:?}");
        }
        for bytes in [&[][..], &[128], &max[..9]] {
            assert_eq!(
                Reader::new(bytes).varint(),
                Err(Fault::CutShort),
                "{bytes:?}"
            );
        }
    }
}
