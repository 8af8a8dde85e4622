//! A place in the tokens of a text.

use springhouse_model::StreamName;
use sqlparser::dialect::GenericDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use super::Position;
use super::rewrite::{self, Replacement};

/// Why a text is not a statement: where, what was expected there, what stood there instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: expected {expected}, found {found}{}", at.line, at.column, hint_suffix(hint))]
pub struct ParseError {
    pub at: Position,
    pub expected: String,
    pub found: String,
    pub hint: Option<String>,
}

fn hint_suffix(hint: &Option<String>) -> String {
    hint.as_ref().map(|hint| format!("; hint: {hint}")).unwrap_or_default()
}

impl ParseError {
    pub(crate) fn at(
        at: Position,
        expected: impl Into<String>,
        found: impl Into<String>,
        hint: Option<String>,
    ) -> ParseError {
        ParseError { at, expected: expected.into(), found: found.into(), hint }
    }
}

/// The tokens of a text without its blanks and comments, and the place up to which they were read.
pub(super) struct Cursor<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
    tokens: Vec<TokenWithSpan>,
    next: usize,
}

/// A remembered place.
#[derive(Clone, Copy)]
pub(super) struct Mark(usize);

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Result<Cursor<'a>, ParseError> {
        let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location().map_err(|error| {
            let at = Position { line: error.location.line, column: error.location.column };
            ParseError::at(at, "SQL", format!("what cannot be read as SQL: {}", error.message), None)
        })?;
        let tokens: Vec<_> =
            tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Ok(Cursor { text, line_starts, tokens, next: 0 })
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|token| &token.token)
    }

    pub(super) fn take(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += usize::from(token.is_some());
        token
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.next >= self.tokens.len()
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.next)
    }

    pub(super) fn take_token(&mut self, wanted: &Token) -> bool {
        let matches = self.peek() == Some(wanted);
        self.next += usize::from(matches);
        matches
    }

    pub(super) fn take_semicolon(&mut self) -> bool {
        self.take_token(&Token::SemiColon)
    }

    pub(super) fn expect_token(&mut self, wanted: Token, shown: &str) -> Result<(), ParseError> {
        match self.take_token(&wanted) {
            true => Ok(()),
            false => Err(self.expected(shown, None)),
        }
    }

    /// Takes the unquoted word `wanted` (given in capitals), whatever its case.
    pub(super) fn take_word(&mut self, wanted: &str) -> bool {
        let matches = word_is(self.peek(), wanted);
        self.next += usize::from(matches);
        matches
    }

    /// Takes all of `words` or, when the first is not there, none; a half of them is an error.
    pub(super) fn take_words(&mut self, words: &[&str]) -> Result<bool, ParseError> {
        if !self.take_word(words[0]) {
            return Ok(false);
        }
        for word in &words[1..] {
            self.expect_word(word)?;
        }
        Ok(true)
    }

    /// Whether these unquoted words follow.
    pub(super) fn are_next(&self, words: &[&str]) -> bool {
        let next = |at: usize| self.tokens.get(self.next + at).map(|token| &token.token);
        words.iter().enumerate().all(|(at, word)| word_is(next(at), word))
    }

    pub(super) fn expect_word(&mut self, wanted: &str) -> Result<(), ParseError> {
        match self.take_word(wanted) {
            true => Ok(()),
            false => Err(self.expected(wanted, None)),
        }
    }

    /// The next unquoted word in capitals.
    pub(super) fn take_any_word(&mut self) -> Option<String> {
        match self.peek() {
            Some(Token::Word(word)) if word.quote_style.is_none() => {
                let word = word.value.to_ascii_uppercase();
                self.next += 1;
                Some(word)
            }
            _ => None,
        }
    }

    /// An identifier: lower-cased unless quoted, as the planner does.
    pub(super) fn identifier(&mut self, expected: &str) -> Result<String, ParseError> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let name = match word.quote_style {
                    Some(_) => word.value.clone(),
                    None => word.value.to_ascii_lowercase(),
                };
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.expected(expected, None)),
        }
    }

    /// A text between single quotes.
    pub(super) fn text(&mut self, expected: &str) -> Result<String, ParseError> {
        match self.peek() {
            Some(Token::SingleQuotedString(text)) => {
                let text = text.clone();
                self.next += 1;
                Ok(text)
            }
            _ => Err(self.expected(&format!("{expected}, between single quotes"), None)),
        }
    }

    /// A whole number from 1.
    pub(super) fn number(&mut self, expected: &str) -> Result<u32, ParseError> {
        let number = match self.peek() {
            Some(Token::Number(digits, _)) => digits.parse().ok().filter(|number| *number > 0),
            _ => None,
        };
        self.next += usize::from(number.is_some());
        number.ok_or_else(|| self.expected(expected, None))
    }

    /// A stream's name, with its parts: `hourly.late`.
    pub(super) fn stream_name(&mut self, expected: &str) -> Result<StreamName, ParseError> {
        let start = self.mark();
        let mut name = self.identifier(expected)?;
        while self.take_token(&Token::Period) {
            name.push('.');
            name.push_str(&self.identifier("the next part of the name")?);
        }
        name.parse().map_err(|error: springhouse_model::NameError| {
            self.error_at(start, expected, format!("`{name}`"), Some(error.to_string()))
        })
    }

    /// Whether a query that returns rows begins here.
    pub(super) fn is_query_start(&self) -> bool {
        let words = ["SELECT", "WITH", "VALUES", "EXPLAIN", "FROM"];
        let next = self.tokens.get(self.next + 1).map(|token| &token.token);
        // `EXPLAIN SELECT` is a query, `EXPLAIN PIPELINE` a statement of ours.
        let is_ours =
            word_is(self.peek(), "EXPLAIN") && (word_is(next, "PIPELINE") || word_is(next, "ALERT"));
        !is_ours
            && (words.iter().any(|word| word_is(self.peek(), word)) || self.peek() == Some(&Token::LParen))
    }

    /// Takes everything up to `;` or the end: the text in our spelling, and where it began.
    pub(super) fn rest_of_statement(&mut self) -> Result<(String, Position), ParseError> {
        let from = self.next;
        let mut depth = 0_i32;
        while let Some(token) = self.peek() {
            match token {
                Token::SemiColon => break,
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            self.next += 1;
        }
        if self.next == from {
            return Err(self.expected("SELECT", None));
        }
        if depth > 0 {
            return Err(self.expected("`)`", Some("a parenthesis is not closed")));
        }
        let (start, end) = (self.token_start(from), self.token_end(self.next - 1));
        let mut text = self.text[start..end].to_owned();
        let replacements = rewrite::to_own_spelling(&self.tokens[from..self.next]);
        for Replacement { first, last, by } in replacements {
            let removed = self.token_start(from + first) - start..self.token_end(from + last) - start;
            overwrite(&mut text, removed, &by);
        }
        Ok((text, position(self.tokens[from].span.start)))
    }

    /// Takes everything up to a word outside of parentheses at which `ends` holds: the text, and where it began.
    pub(super) fn expression_until(
        &mut self,
        expected: &str,
        ends: impl Fn(&Cursor<'a>) -> bool,
    ) -> Result<(String, Position), ParseError> {
        let from = self.next;
        let mut depth = 0_i32;
        while let Some(token) = self.peek() {
            match token {
                Token::SemiColon => break,
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ if depth == 0 && ends(self) => break,
                _ => {}
            }
            self.next += 1;
        }
        if self.next == from {
            return Err(self.expected(expected, None));
        }
        let text = self.text[self.token_start(from)..self.token_end(self.next - 1)].to_owned();
        Ok((text, position(self.tokens[from].span.start)))
    }

    /// Whether these unquoted words (given in capitals) come next.
    pub(super) fn is_at_words(&self, words: &[&str]) -> bool {
        let mut next = (self.next..).zip(words);
        next.all(|(at, word)| word_is(self.tokens.get(at).map(|token| &token.token), word))
    }

    /// Where the token at a mark begins.
    pub(super) fn position(&self, mark: Mark) -> Position {
        self.tokens.get(mark.0).map_or(Position::START, |token| position(token.span.start))
    }

    /// The text between a mark and the last token taken.
    pub(super) fn text_since(&self, mark: Mark) -> String {
        self.text[self.token_start(mark.0)..self.token_end(self.next - 1)].to_owned()
    }

    pub(super) fn expected(&self, expected: &str, hint: Option<&str>) -> ParseError {
        let found = self.peek().map_or("the end of the text".to_owned(), |token| format!("`{token}`"));
        self.error_at(Mark(self.next), expected, found, hint.map(str::to_owned))
    }

    pub(super) fn error_at(
        &self,
        mark: Mark,
        expected: impl Into<String>,
        found: impl Into<String>,
        hint: Option<String>,
    ) -> ParseError {
        let at = match self.tokens.get(mark.0).or(self.tokens.last()) {
            Some(token) if mark.0 < self.tokens.len() => position(token.span.start),
            Some(token) => position(token.span.end),
            None => Position::START,
        };
        ParseError::at(at, expected, found, hint)
    }

    fn token_start(&self, index: usize) -> usize {
        self.byte_offset(self.tokens[index].span.start)
    }

    fn token_end(&self, index: usize) -> usize {
        self.byte_offset(self.tokens[index].span.end)
    }

    fn byte_offset(&self, location: Location) -> usize {
        let line = self.line_starts[(location.line.max(1) - 1) as usize];
        let column = (location.column.max(1) - 1) as usize;
        self.text[line..].char_indices().nth(column).map_or(self.text.len(), |(at, _)| line + at)
    }
}

fn position(location: Location) -> Position {
    Position { line: location.line, column: location.column }
}

pub(super) fn word_is(token: Option<&Token>, wanted: &str) -> bool {
    matches!(token, Some(Token::Word(word)) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// Overwrites a range, and the rest of it with blanks, and keeps the lines, so that everything behind it stays where it was.
fn overwrite(text: &mut String, range: std::ops::Range<usize>, by: &str) {
    let mut by = by.chars();
    let mut character = |c| if c == '\n' { '\n' } else { by.next().unwrap_or(' ') };
    let written: String = text[range.clone()].chars().map(&mut character).collect();
    text.replace_range(range, &written);
}
