//! Floats that are decimals in disguise, as most sensors send them: 21.37 is the integer 2137 and the exponent 2.
//!
//! The rule of ALP (Afroozeh, Kuffó, Boncz: "ALP: Adaptive Lossless floating-Point Compression", SIGMOD 2023): a column
//! is scaled only if every value comes back with the same bits. Division of two integers that a double can hold is
//! correctly rounded (IEEE 754 §5.4.1), so what was parsed from a decimal of up to 15 digits always comes back.

/// The highest exponent that is tried; 10^14 times a useful reading is beyond the integers that a double holds.
pub(crate) const EXPONENT_MAX: u32 = 14;
/// 2^53: up to here every integer is a double.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

const POWERS: [f64; EXPONENT_MAX as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];

/// The values as deltas of integers with a common exponent, or `None` when one of them has no such form (-0.0, NaN,
/// infinities and values with too many digits).
pub(crate) fn deltas(values: &[f64]) -> Option<(u32, Vec<i64>)> {
    let mut exponent = 0;
    for value in values {
        while scaled(*value, exponent).is_none() {
            exponent += 1;
            if exponent > EXPONENT_MAX {
                return None;
            }
        }
    }
    let mut previous = 0_i64;
    let mut deltas = Vec::with_capacity(values.len());
    for value in values {
        // A value that fitted a smaller exponent can be too large for the common one.
        let integer = scaled(*value, exponent)?;
        deltas.push(integer.wrapping_sub(previous));
        previous = integer;
    }
    Some((exponent, deltas))
}

/// The value that an integer stands for.
pub(crate) fn value(integer: i64, exponent: u32) -> f64 {
    let power = POWERS[(exponent as usize).min(POWERS.len() - 1)];
    integer as f64 / power
}

fn scaled(value: f64, exponent: u32) -> Option<i64> {
    let product = (value * POWERS[exponent as usize]).round_ties_even();
    if product.abs() > INTEGER_MAX {
        return None;
    }
    // The cast of a NaN is 0, which does not come back as NaN.
    let integer = product as i64;
    (self::value(integer, exponent).to_bits() == value.to_bits()).then_some(integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_share_the_smallest_exponent() {
        for (values, expected) in [
            (&[21.0, 22.0][..], Some((0, vec![21, 1]))),
            (&[21.37, 0.1, -5.0], Some((2, vec![2137, -2127, -510]))),
            (&[0.000_001], Some((6, vec![1]))),
            (&[9_007_199_254_740_992.0], Some((0, vec![9_007_199_254_740_992]))),
            (&[9_007_199_254_740_992.0, 0.5], None),
            (&[-0.0], None),
            (&[f64::NAN], None),
            (&[f64::INFINITY, 1.0], None),
            (&[0.1 + 0.2], None),
            (&[std::f64::consts::PI], None),
            (&[], Some((0, vec![]))),
        ] {
            assert_eq!(deltas(values), expected, "{values:?}");
        }
    }

    #[test]
    fn every_decimal_of_fifteen_digits_comes_back() {
        for exponent in 0..=EXPONENT_MAX {
            for digits in [1, 7, 12_345_678, 999_999_999_999_999_i64] {
                let parsed: f64 = format!("{digits}e-{exponent}").parse().unwrap();
                let (found, deltas) = deltas(&[parsed]).unwrap();
                assert_eq!(value(deltas[0], found).to_bits(), parsed.to_bits(), "{digits}e-{exponent}");
            }
        }
    }
}
