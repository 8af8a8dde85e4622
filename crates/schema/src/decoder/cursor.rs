//! A place in a payload, and the plain pieces of JSON that can be read from there without doubt.
//!
//! Whatever needs a second thought (an escape, a number that one rounding does not settle, an error) is given up, not
//! judged: the other reader decides.

use std::fmt;

/// The bytes are not what can be read at the first try. Says nothing about whether they are sound.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GiveUp;

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not read at the first try")
    }
}

impl std::error::Error for GiveUp {}

impl serde::de::Error for GiveUp {
    fn custom<T: fmt::Display>(_: T) -> GiveUp {
        GiveUp
    }
}

/// How far a message reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// To the end of the text; line breaks are white space.
    Text,
    /// To the first line break or the end of the text.
    Line,
}

pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
    extent: Extent,
}

impl<'t> Cursor<'t> {
    pub fn new(text: &'t str, extent: Extent) -> Cursor<'t> {
        Cursor { text, at: 0, extent }
    }

    /// The next byte; 0 at the end, which JSON has nowhere.
    #[inline]
    pub fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// What is left to read.
    #[inline]
    pub fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Bytes that were read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What was read since `begin`; nothing when that is no place between two characters.
    #[inline]
    pub fn since(&self, begin: usize) -> &'t str {
        self.text.get(begin..self.at).unwrap_or_default()
    }

    /// Goes on over bytes that [`rest`](Cursor::rest) was seen to have.
    #[inline]
    pub fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Goes over the byte if it is the next.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub fn expect(&mut self, byte: u8) -> Result<(), GiveUp> {
        if self.take(byte) { Ok(()) } else { Err(GiveUp) }
    }

    /// Goes over `null`, `true` or `false`.
    #[inline]
    pub fn expect_word(&mut self, word: &str) -> Result<(), GiveUp> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(GiveUp);
        }
        self.at += word.len();
        Ok(())
    }

    /// Goes over white space of JSON (RFC 8259 §2), within the extent.
    #[inline]
    pub fn skip_blanks(&mut self) {
        while self.peek() <= b' ' && self.is_blank() {
            self.at += 1;
        }
    }

    fn is_blank(&self) -> bool {
        match self.peek() {
            b' ' | b'\t' | b'\r' => true,
            b'\n' => self.extent == Extent::Text,
            _ => false,
        }
    }

    /// Whether nothing but white space is left in the extent, which is gone over.
    pub fn is_done(&mut self) -> bool {
        self.skip_blanks();
        self.at == self.text.len() || (self.extent == Extent::Line && self.peek() == b'\n')
    }

    /// A text without escapes.
    #[inline]
    pub fn text(&mut self) -> Result<&'t str, GiveUp> {
        self.expect(b'"')?;
        let begin = self.at;
        self.at += plain_bytes(self.rest());
        let text = self.since(begin);
        self.expect(b'"')?;
        Ok(text)
    }
}

/// How many bytes come before the first quote, backslash or control character.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES << 7;
    // Eight at a time (Mycroft): a zero byte of `x` is where `x - 1` borrows and `x` has no top bit. Bytes above the first
    // hit may be told wrongly because of the borrow, the first one is right.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let hits = (control | quote | backslash) & TOPS;
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let stop = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    at + rest.iter().position(stop).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_at_its_quote_wherever_that_stands() {
        for len in 0..40 {
            let inner = "ä€x😀".chars().cycle().take(len).collect::<String>();
            for behind in ["", ",", "           ", "\"\"\"\"\"\"\"\"\""] {
                let written = format!("\"{inner}\"{behind}");
                let mut cursor = Cursor::new(&written, Extent::Text);
                assert_eq!(cursor.text(), Ok(inner.as_str()), "{written}");
                assert_eq!(cursor.rest(), behind.as_bytes());
            }
        }
    }

    #[test]
    fn texts_with_escapes_or_control_characters_are_given_up_wherever_these_stand() {
        for stop in ['\\', '\0', '\n', '\u{1f}'] {
            for before in 0..20 {
                for after in 0..20 {
                    let written = format!("\"{}{stop}{}\"", "x".repeat(before), "x".repeat(after));
                    assert_eq!(Cursor::new(&written, Extent::Text).text(), Err(GiveUp), "{written:?}");
                }
            }
        }
        for open in ["", "\"", "\"abc", "abc\"", "\"abcdefgh", "\"äöü"] {
            assert_eq!(Cursor::new(open, Extent::Text).text(), Err(GiveUp), "{open}");
        }
    }

    #[test]
    fn all_other_characters_are_plain() {
        for character in ('\u{20}'..='\u{2ff}').filter(|character| !matches!(character, '"' | '\\')) {
            let inner = format!("1234{character}6789");
            let written = format!("\"{inner}\"");
            assert_eq!(Cursor::new(&written, Extent::Text).text(), Ok(inner.as_str()));
        }
    }

    #[test]
    fn a_line_ends_at_its_break_and_a_text_does_not() {
        for (extent, is_done, read) in [(Extent::Line, true, 2), (Extent::Text, false, 3)] {
            let mut cursor = Cursor::new(" \r\nx", extent);
            assert_eq!((cursor.is_done(), cursor.at()), (is_done, read));
        }
        assert!(!Cursor::new("\u{c}", Extent::Text).is_done(), "a form feed is no white space of JSON");
    }
}
