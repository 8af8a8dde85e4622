//! Numbers that are exact after one rounding.
//!
//! A decimal is a mantissa and a power of ten. When the mantissa is an integer up to 2^53 and the power is at most 10^22,
//! both are doubles without error, and IEEE 754 rounds their product or quotient once: the result is the double nearest
//! to the decimal (Clinger, How to Read Floating Point Numbers Accurately, 1990). Readings have few digits and are of
//! this kind; others are given up.

use super::cursor::{Cursor, GiveUp};

/// Integers up to here are exact as a double.
const EXACT_MAX: u64 = 1 << 53;

/// That many digits fit an `i64` whatever they are.
const DIGITS_MAX: usize = 18;

/// The powers of ten that are exact as a double.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Written without point and exponent.
    Integer(i64),
    Fraction(f64),
}

impl Cursor<'_> {
    /// A number (RFC 8259 §6). What follows it is looked at by the caller.
    #[inline]
    pub fn number(&mut self) -> Result<Number, GiveUp> {
        let is_negative = self.take(b'-');
        let (leading_zero, begin) = (self.peek() == b'0', self.at());
        let mantissa = self.digits(0);
        let digits = self.at() - begin;
        if digits == 0 || (leading_zero && digits > 1) || digits > DIGITS_MAX {
            return Err(GiveUp);
        }
        match self.peek() {
            b'.' | b'e' | b'E' => self.fraction(is_negative, mantissa, digits),
            // `-0` is not an integer: its sign is kept as that of a double.
            _ if is_negative && mantissa == 0 => Err(GiveUp),
            _ if is_negative => Ok(Number::Integer(-(mantissa as i64))),
            _ => Ok(Number::Integer(mantissa as i64)),
        }
    }

    /// What follows the digits before a point or an exponent.
    #[inline]
    fn fraction(&mut self, is_negative: bool, whole: u64, whole_digits: usize) -> Result<Number, GiveUp> {
        let (mut mantissa, mut places) = (whole, 0);
        if self.take(b'.') {
            let begin = self.at();
            mantissa = self.digits(whole);
            places = self.at() - begin;
            if places == 0 || places > DIGITS_MAX - whole_digits {
                return Err(GiveUp);
            }
        }
        let shift = match self.peek() {
            b'e' | b'E' => self.exponent()?,
            _ => 0,
        };
        let exponent = shift - places as i32;
        let power = *POWERS.get(exponent.unsigned_abs() as usize).ok_or(GiveUp)?;
        if mantissa > EXACT_MAX {
            return Err(GiveUp);
        }
        let size = match exponent < 0 {
            true => mantissa as f64 / power,
            false => mantissa as f64 * power,
        };
        Ok(Number::Fraction(if is_negative { -size } else { size }))
    }

    /// The number behind `e`, which readings seldom have.
    #[cold]
    fn exponent(&mut self) -> Result<i32, GiveUp> {
        self.advance(1);
        let is_negative = self.take(b'-');
        if !is_negative {
            self.take(b'+');
        }
        let begin = self.at();
        let size = self.digits(0);
        match self.at() - begin {
            1..=3 if is_negative => Ok(-(size as i32)),
            1..=3 => Ok(size as i32),
            _ => Err(GiveUp),
        }
    }

    /// Appends the digits that come to those of `number`. Wraps when they are too many, which the caller counts.
    #[inline]
    fn digits(&mut self, mut number: u64) -> u64 {
        let mut digits = 0;
        for byte in self.rest() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            digits += 1;
        }
        self.advance(digits);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::super::cursor::Extent;
    use super::*;

    fn read(text: &str) -> Result<(Number, &[u8]), GiveUp> {
        let mut cursor = Cursor::new(text, Extent::Text);
        cursor.number().map(|number| (number, cursor.rest()))
    }

    #[test]
    fn integers_are_read_up_to_eighteen_digits() {
        for number in
            [0, 7, 10, -1, -10, 1_767_225_600_002, 999_999_999_999_999_999, -999_999_999_999_999_999]
        {
            let text = number.to_string();
            assert_eq!(read(&text), Ok((Number::Integer(number), &b""[..])), "{text}");
        }
    }

    #[test]
    fn fractions_are_the_doubles_nearest_to_their_text() {
        for text in [
            "20.417",
            "55.70",
            "0.1",
            "0.3",
            "-273.15",
            "0.0",
            "-0.0",
            "0e0",
            "-0e-5",
            "1e22",
            "1E+22",
            "1e-22",
            "1e0",
            "9007199254740992e0",
            "900719925474099.2",
            "9007199254740992e22",
            "9007199254740992e-22",
            "1.5e-3",
            "1e003",
            "0.00000000000000001",
            "123456.789e-17",
            "123456.789e25",
            "0.00000000000000123",
        ] {
            let Ok((Number::Fraction(number), b"")) = read(text) else { panic!("{text} was given up") };
            assert_eq!(number.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
    }

    #[test]
    fn what_one_rounding_does_not_settle_is_given_up() {
        for text in [
            "1000000000000000000",
            "9223372036854775807",
            "-9223372036854775808",
            "18446744073709551616",
            "-0",
            "1e23",
            "1e-23",
            "9007199254740992.0",
            "9007199254740993e0",
            "0.30000000000000004",
            "21.299999237060547",
            "0.000000000000000001",
            "1e0001",
            "1.0e400",
            "5e-324",
        ] {
            assert_eq!(read(text), Err(GiveUp), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_given_up() {
        for text in [
            "", "-", "--1", "+1", ".5", "-.5", "1.", "1.e5", "1e", "1e+", "1e-", "01", "-01", "00", "00.5",
            "NaN", "Infinity",
        ] {
            assert_eq!(read(text), Err(GiveUp), "{text}");
        }
    }

    #[test]
    fn a_number_ends_before_what_does_not_belong_to_it() {
        for (text, number, rest) in [
            ("1,", Number::Integer(1), ","),
            ("0}", Number::Integer(0), "}"),
            ("1x", Number::Integer(1), "x"),
            ("1.5.2", Number::Fraction(1.5), ".2"),
            ("1e2e3", Number::Fraction(100.0), "e3"),
            ("12-3", Number::Integer(12), "-3"),
        ] {
            assert_eq!(read(text), Ok((number, rest.as_bytes())), "{text}");
        }
    }
}
