//! As much of DER (X.690) as a request for a certificate needs to be read, and a list of certificates to be written.

pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Elements one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The contents of the next element, which has this tag.
    pub fn inside(&mut self, tag: u8) -> Option<Reader<'a>> {
        let (found, contents) = self.next()?;
        (found == tag).then_some(Reader(contents))
    }

    /// Passes over the next element, whatever it is.
    pub fn any(&mut self) -> Option<()> {
        self.next().map(drop)
    }

    /// A string of bits that is one of bytes.
    pub fn whole_bytes(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (unused_bits, bytes) = self.inside(tag)?.0.split_first()?;
        (*unused_bits == 0).then_some(bytes)
    }

    /// Tags have one byte here; lengths are written in as few bytes as they can (section 10.1).
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
                let is_shortest = digits[0] != 0 && (digits.len() > 1 || length >= 0x80);
                (is_shortest.then_some(length)?, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (tag & 0x1f != 0x1f).then_some((tag, contents))
    }
}

/// An element with its contents, given in pieces.
pub(crate) fn element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let length: usize = content.iter().map(|part| part.len()).sum();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => {
            let digits = length.to_be_bytes();
            let digits = &digits[digits.iter().position(|digit| *digit != 0).unwrap_or_default()..];
            bytes.push(0x80 | digits.len() as u8);
            bytes.extend_from_slice(digits);
        }
    }
    content.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_as_few_bytes_as_they_can() {
        for (length, expected) in
            [(1, &[0x01][..]), (127, &[0x7f]), (128, &[0x81, 0x80]), (257, &[0x82, 0x01, 0x01])]
        {
            let written = element(SEQUENCE, &[&vec![0; length]]);
            assert_eq!(&written[1..written.len() - length], expected);
            let mut reader = Reader(&written);
            assert_eq!(reader.inside(SEQUENCE).unwrap().0.len(), length);
            assert!(reader.0.is_empty());
        }
        for longer in [
            &[0x30, 0x81, 0x01, 0x00][..],
            &[0x30, 0x82, 0x00, 0x80],
            &[0x30, 0x80, 0x00, 0x00],
            &[0x30, 0x02, 0x00],
        ] {
            assert!(Reader(longer).any().is_none(), "{longer:?}");
        }
    }
}
