//! Whether two texts are the same statement, however they are laid out.

use sqlparser::dialect::GenericDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

/// Whether two statements differ in nothing but white space, comments, the case of what is not quoted, and whether they
/// would replace what is there. A text that is not SQL is like itself only.
pub fn is_same(left: &str, right: &str) -> bool {
    left == right || words(left).is_some_and(|left| words(right).is_some_and(|right| left == right))
}

fn words(text: &str) -> Option<Vec<String>> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize().ok()?;
    let mut words: Vec<String> = tokens
        .into_iter()
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .map(|token| match &token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
            other => other.to_string(),
        })
        .collect();
    while words.last().is_some_and(|word| word == ";") {
        words.pop();
    }
    // `CREATE OR REPLACE PIPELINE IF NOT EXISTS name`
    remove(&mut words, 1, &["or", "replace"]);
    remove(&mut words, 2, &["if", "not", "exists"]);
    Some(words)
}

fn remove(words: &mut Vec<String>, at: usize, these: &[&str]) {
    if words.get(at..at + these.len()).is_some_and(|found| found == these) {
        words.drain(at..at + these.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "CREATE PIPELINE p INTO q AS SELECT device, 'Warm' AS word FROM homes WHERE n > 1";

    #[test]
    fn layout_comments_and_case_are_no_difference() {
        for other in [
            "create pipeline P into q as\n  select DEVICE, 'Warm' as word\n  from homes -- all of them\n where n>1 ;",
            "CREATE OR REPLACE PIPELINE p INTO q AS SELECT device, 'Warm' AS word FROM homes /* … */ WHERE n > 1;;",
            "CREATE PIPELINE IF NOT EXISTS p INTO q AS SELECT device, 'Warm' AS word FROM homes WHERE n > 1",
        ] {
            assert!(is_same(SQL, other), "{other}");
        }
    }

    #[test]
    fn another_word_is_a_difference() {
        for (from, to) in
            [("'Warm'", "'warm'"), ("n > 1", "n >= 1"), ("device", "\"Device\""), ("q AS", "r AS")]
        {
            assert!(!is_same(SQL, &SQL.replace(from, to)), "{to}");
        }
        assert!(!is_same("'not closed", SQL));
        assert!(is_same("'not closed", "'not closed"));
    }
}
