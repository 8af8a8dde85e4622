//! The spelling of Flink and SQL:2016 for window functions, turned into ours.
//!
//! `TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND))` becomes `TUMBLE(s, ts, INTERVAL '10' SECOND)`
//! by blanking out the words that are too many; no character moves, so errors keep their line and column. `PARTITION BY`
//! and `FOR SYSTEM_TIME AS OF` become named arguments.
//!
//! `DISTINCT ON CHANGE (state)` becomes a `DISTINCT ON` whose list begins with a name that no column has, `("@", state)`.
//!
//! `PATTERN (a b) WITHIN INTERVAL '10' SECOND` in MATCH_RECOGNIZE is not known to the parser. The length of time becomes the last
//! word of the pattern, a quoted name that no variable has: `PATTERN (a b "@10000000")`.

use std::borrow::Cow;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::cursor::word_is;
use super::interval::parse_length;

/// Window functions whose arguments may be written as tables and descriptors.
const WINDOW_FUNCTIONS: [&str; 4] = ["TUMBLE", "HOP", "SESSION", "COUNT_WINDOW"];

/// What the list of a DISTINCT ON begins with in place of CHANGE.
pub(crate) const CHANGE_MARK: &str = "@";

/// What the length of WITHIN is called inside of a pattern: `@` and microseconds.
pub(crate) const WITHIN_MARK: char = '@';

/// Tokens that are blanked out, and what is written into their place: never longer than they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Replacement {
    pub first: usize,
    pub last: usize,
    pub by: Cow<'static, str>,
}

impl Replacement {
    fn blank(first: usize, last: usize) -> Replacement {
        Replacement { first, last, by: Cow::Borrowed("") }
    }
}

/// What has to be replaced, from the back, so that it can be applied in order.
pub(super) fn to_own_spelling(tokens: &[TokenWithSpan]) -> Vec<Replacement> {
    let mut removed = Vec::new();
    for at in 0..tokens.len() {
        removed.extend(version(tokens, at));
        removed.extend(change(tokens, at));
        let is_function = WINDOW_FUNCTIONS.iter().any(|name| word(tokens, at, name));
        if is_function
            && is(tokens, at + 1, &Token::LParen)
            && let Some(close) = closing(tokens, at + 1)
        {
            wrapper(tokens, at, close, &mut removed);
            arguments(tokens, at + 2, close, &mut removed);
        }
        if word(tokens, at, "MATCH_RECOGNIZE")
            && is(tokens, at + 1, &Token::LParen)
            && let Some(close) = closing(tokens, at + 1)
        {
            removed.extend((at + 2..close).find_map(|at| within(tokens, at)));
        }
    }
    removed.sort_unstable_by(|a, b| b.cmp(a));
    removed
}

/// `FOR SYSTEM_TIME AS OF a.ts` behind the name of a stream becomes its argument, which says whether it is the event time.
fn version(tokens: &[TokenWithSpan], at: usize) -> Option<Replacement> {
    const WORDS: [&str; 4] = ["FOR", "SYSTEM_TIME", "AS", "OF"];
    let is_it = (at..).zip(WORDS).all(|(at, wanted)| word(tokens, at, wanted));
    let time = at + WORDS.len();
    let last = if is(tokens, time + 1, &Token::Period) { time + 2 } else { time };
    let call = is(tokens, last + 1, &Token::LParen).then(|| closing(tokens, last + 1)).flatten();
    // The time is that of the other stream: not of this one, by its name or alias.
    let qualifier = (last == time + 2).then(|| tokens.get(time)).flatten();
    let alias = last + 1 + usize::from(word(tokens, last + 1, "AS"));
    let is_own = [at.checked_sub(1), Some(alias)].into_iter().flatten().any(|own| {
        tokens.get(own).zip(qualifier).is_some_and(|(own, qualifier)| own.token == qualifier.token)
    });
    let is_time = word(tokens, last, "TS") && call.is_none() && qualifier.is_some() && !is_own;
    let last = call.unwrap_or(last);
    let by = if is_time { "(as_of => ts)" } else { "(as_of => other)" };
    (is_it && last < tokens.len()).then_some(Replacement { first: at, last, by: Cow::Borrowed(by) })
}

/// `CHANGE (` behind DISTINCT ON → `("@",`, and `CHANGE` without a list → `("@")`.
fn change(tokens: &[TokenWithSpan], at: usize) -> Option<Replacement> {
    const WORDS: [&str; 3] = ["DISTINCT", "ON", "CHANGE"];
    let is_it = (at..).zip(WORDS).all(|(at, wanted)| word(tokens, at, wanted));
    let first = at + WORDS.len() - 1;
    let (last, end) = if is(tokens, first + 1, &Token::LParen) { (first + 1, ',') } else { (first, ')') };
    is_it.then(|| Replacement { first, last, by: Cow::Owned(format!("(\"{CHANGE_MARK}\"{end}")) })
}

/// `TABLE(` before the function and the `)` behind it.
fn wrapper(tokens: &[TokenWithSpan], function: usize, close: usize, removed: &mut Vec<Replacement>) {
    let is_wrapped = function >= 2
        && word(tokens, function - 2, "TABLE")
        && is(tokens, function - 1, &Token::LParen)
        && is(tokens, close + 1, &Token::RParen);
    if is_wrapped {
        removed.push(Replacement::blank(function - 2, function - 1));
        removed.push(Replacement::blank(close + 1, close + 1));
    }
}

/// `TABLE s` → `s`, `DESCRIPTOR(ts)` → `ts` and `PARTITION BY k` → `, key => k` between the parentheses of the function.
fn arguments(tokens: &[TokenWithSpan], from: usize, close: usize, removed: &mut Vec<Replacement>) {
    let mut depth = 0_i32;
    for at in from..close {
        // What stands in a subquery is not an argument.
        depth += i32::from(is(tokens, at, &Token::LParen)) - i32::from(is(tokens, at, &Token::RParen));
        if depth > 0 {
            continue;
        }
        let begins_argument = at == from || is(tokens, at - 1, &Token::Comma);
        if begins_argument && word(tokens, at, "TABLE") && !is(tokens, at + 1, &Token::LParen) {
            removed.push(Replacement::blank(at, at));
        }
        if word(tokens, at, "PARTITION") && word(tokens, at + 1, "BY") {
            removed.push(Replacement { first: at, last: at + 1, by: Cow::Borrowed(", key =>") });
        }
        if word(tokens, at, "DESCRIPTOR")
            && is(tokens, at + 1, &Token::LParen)
            && is(tokens, at + 3, &Token::RParen)
        {
            removed.push(Replacement::blank(at, at + 1));
            removed.push(Replacement::blank(at + 3, at + 3));
        }
    }
}

/// `) WITHIN INTERVAL '10' SECOND` behind a pattern that begins at a token → `"@10000000")`. What has no fixed length
/// becomes a mark without a number, which the planner refuses.
fn within(tokens: &[TokenWithSpan], at: usize) -> Option<Replacement> {
    let begins = word(tokens, at, "PATTERN") && is(tokens, at + 1, &Token::LParen);
    let close = if begins { closing(tokens, at + 1)? } else { return None };
    if !word(tokens, close + 1, "WITHIN") || !word(tokens, close + 2, "INTERVAL") {
        return None;
    }
    let literal = close + 3;
    let (Token::SingleQuotedString(text) | Token::Number(text, _)) = &tokens.get(literal)?.token else {
        return None;
    };
    let (length, last) = match text.trim().parse::<f64>() {
        Ok(_) => match &tokens.get(literal + 1)?.token {
            Token::Word(unit) => (format!("{text} {}", unit.value), literal + 1),
            _ => return None,
        },
        Err(_) => (text.clone(), literal),
    };
    // A quote right behind a name such as `b` would make a literal of bytes of both.
    let micros = parse_length(&length).map_or_else(|_| String::new(), |micros| micros.to_string());
    Some(Replacement { first: close, last, by: Cow::Owned(format!(" \"{WITHIN_MARK}{micros}\")")) })
}

/// The index of the parenthesis that closes the one at `open`.
fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn word(tokens: &[TokenWithSpan], at: usize, wanted: &str) -> bool {
    word_is(tokens.get(at).map(|token| &token.token), wanted)
}

fn is(tokens: &[TokenWithSpan], at: usize, wanted: &Token) -> bool {
    tokens.get(at).map(|token| &token.token) == Some(wanted)
}
