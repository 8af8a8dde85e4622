//! How deep a text can get before anything plans it.
//!
//! `a + b + c + …` is a tree as deep as it is long, and planning walks trees by recursion: a thread whose stack ends takes
//! the hub with it. What can nest is therefore counted in the text, where counting cannot fail.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::PlanError;

/// For filters and pipelines, which are planned on the threads of the hub.
const OPERATORS_MAX: usize = 400;

const NESTING_WORDS: [Keyword; 14] = [
    Keyword::AND,
    Keyword::OR,
    Keyword::NOT,
    Keyword::IS,
    Keyword::IN,
    Keyword::LIKE,
    Keyword::BETWEEN,
    Keyword::CASE,
    Keyword::CAST,
    Keyword::SELECT,
    Keyword::UNION,
    Keyword::EXCEPT,
    Keyword::INTERSECT,
    Keyword::JOIN,
];

/// Operators, brackets and keywords of a text that can make its tree deeper. A text that cannot be split into tokens
/// cannot be parsed either; the parser says so better.
pub fn nesting(sql: &str) -> usize {
    let tokens = Tokenizer::new(&GenericDialect, sql).tokenize().unwrap_or_default();
    tokens.iter().filter(|token| can_nest(token)).count()
}

/// Refuses the text of a filter or a pipeline that is too deep to be planned safely.
pub(crate) fn check(sql: &str) -> Result<(), PlanError> {
    match nesting(sql) {
        operators if operators > OPERATORS_MAX => {
            let message = format!("{operators} operators and keywords, at most {OPERATORS_MAX} are allowed");
            Err(PlanError::new(message).with_hint("`x IN (1, 2, 3)` counts as one comparison"))
        }
        _ => Ok(()),
    }
}

/// Long lists of columns and values are wide, not deep.
fn can_nest(token: &Token) -> bool {
    match token {
        Token::Word(word) => NESTING_WORDS.contains(&word.keyword),
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Comma | Token::Period => false,
        Token::Whitespace(_) | Token::RParen | Token::SemiColon | Token::EOF => false,
        _ => true,
    }
}
