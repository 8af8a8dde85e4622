//! Times in UTC as most devices write them: `2026-01-01T12:00:00Z`, with or without a fraction.
//!
//! One form of RFC 3339, read digit by digit. Other forms, and all that is no time, are left to the reader of the
//! whole standard; where both give a time it is the same.

const SECOND_US: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Microseconds since 1970; digits of a fraction behind the sixth are cut.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (moment, tail) = text.as_bytes().split_first_chunk::<19>()?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1] = *moment
    else {
        return None;
    };
    let year = number([y0, y1, y2, y3])?;
    let (month, day) = (number([m0, m1])?, number([d0, d1])?);
    let (hour, minute, second) = (number([h0, h1])?, number([i0, i1])?, number([s0, s1])?);
    let in_range = (1..=12).contains(&month) && (1..=days_of_month(year, month)).contains(&day);
    // A 60th second is left to those who know leap seconds.
    if !in_range || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = fraction(tail.strip_suffix(b"Z")?)?;
    let seconds = days_since_1970(year, month, day) * DAY_SECONDS + hour * 3_600 + minute * 60 + second;
    Some(seconds * SECOND_US + micros)
}

fn number<const N: usize>(digits: [u8; N]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit <= 9).then(|| number * 10 + i64::from(digit))
    })
}

/// Microseconds of `.` and one to nine digits, or of nothing.
fn fraction(text: &[u8]) -> Option<i64> {
    let Some((point, digits)) = text.split_first() else { return Some(0) };
    if *point != b'.' || digits.is_empty() || digits.len() > 9 {
        return None;
    }
    let mut nanos = 0;
    for place in 0..9 {
        let digit = digits.get(place).map_or(0, |digit| digit.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        nanos = nanos * 10 + i64::from(digit);
    }
    Some(nanos / 1_000)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar, by years that begin in March so that the leap day is their last
/// (Hinnant, chrono-Compatible Low-Level Date Algorithms, `days_from_civil`).
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use springhouse_model::Timestamp;

    use super::*;

    #[test]
    fn every_day_of_ten_thousand_years_is_that_of_the_whole_standard() {
        let mut days = 0;
        for year in 0..10_000 {
            for month in 1..=12 {
                // The day after the last is in neither.
                for day in [1, 28, 29, 30, 31, 32] {
                    let text = format!("{year:04}-{month:02}-{day:02}T23:59:58Z");
                    let expected = Timestamp::parse_rfc3339(&text).map(Timestamp::micros);
                    assert_eq!(parse(&text), expected, "{text}");
                    days += usize::from(expected.is_some());
                }
            }
        }
        // A year has 12 firsts and 28ths, 11 29ths and 30ths, 7 31sts; 2,425 of the years are leap years.
        assert_eq!(days, 10_000 * (12 + 12 + 11 + 11 + 7) + 2_425);
    }

    #[test]
    fn fractions_are_cut_behind_the_microsecond() {
        for (fraction, micros) in [
            ("", 0),
            (".1", 100_000),
            (".12", 120_000),
            (".123", 123_000),
            (".1234", 123_400),
            (".12345", 123_450),
            (".123456", 123_456),
            (".1234567", 123_456),
            (".12345678", 123_456),
            (".999999999", 999_999),
            (".000000001", 0),
        ] {
            assert_eq!(
                parse(&format!("2026-01-01T00:00:00{fraction}Z")),
                Some(1_767_225_600_000_000 + micros)
            );
            let early = format!("1969-12-31T23:59:59{fraction}Z");
            assert_eq!(parse(&early), Some(micros - 1_000_000), "{early}");
            assert_eq!(parse(&early), Timestamp::parse_rfc3339(&early).map(Timestamp::micros));
        }
    }

    #[test]
    fn other_forms_are_left_to_the_whole_standard() {
        for text in [
            "",
            "Z",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00z",
            "2026-01-01t00:00:00Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00+00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1234567890Z",
            "2026-01-01T00:00:00,5Z",
            "2026-01-01T00:00:00.5xZ",
            "2026-01-01T00:00:60Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-00-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "+026-01-01T00:00:00Z",
            "-001-01-01T00:00:00Z",
            "12026-01-01T00:00:00Z",
            "2026-1-01T00:00:00.0Z",
            "2026-01-01T00:00:00Z ",
            "2026-01-01T00:00:00ZZ",
            "２026-01-01T00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
