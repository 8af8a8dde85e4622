//! `CREATE FUNCTION`: a name for an expression of some parameters, or for what a component exports.
//!
//! ```text
//! CREATE [OR REPLACE] FUNCTION [IF NOT EXISTS] fahrenheit (celsius DOUBLE [, …]) RETURNS DOUBLE
//!     { [LANGUAGE sql] [IMMUTABLE] { RETURN celsius * 1.8 + 32 | AS (celsius * 1.8 + 32) }
//!     | LANGUAGE wasm [IMMUTABLE] AS 'SHA-256 of the component', 'export' }
//! ```
//! `RETURN` is the spelling of SQL:2016 (part 4, PSM) and PostgreSQL 14, `AS 'object', 'symbol'` that of PostgreSQL for code that is not SQL.

use springhouse_model::{StreamName, ValueType};
use springhouse_wasm::{Digest, NotADigest};
use sqlparser::tokenizer::Token;

use super::Position;
use super::create::column_type;
use super::cursor::{Cursor, Mark, ParseError};

/// Longest name, as in PostgreSQL.
const NAME_BYTES_MAX: usize = 63;
/// A person counts no further in a call.
const PARAMETERS_MAX: usize = 32;

/// A function that people call in expressions.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateFunction {
    /// One part, without dots.
    pub name: StreamName,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub parameters: Vec<Parameter>,
    pub returns: ValueType,
    pub body: FunctionBody,
    /// The statement as written.
    pub text: String,
}

/// What is given to a function, cast to its type before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub ty: ValueType,
}

/// What a function computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionBody {
    /// An expression of the parameters, and where it begins in what the person wrote.
    Sql { text: String, at: Position },
    /// A function that a component exports under this name.
    Component { digest: Digest, export: String },
}

/// Reads what follows `CREATE FUNCTION`.
pub(super) fn function(
    cursor: &mut Cursor<'_>,
    start: Mark,
    or_replace: bool,
) -> Result<CreateFunction, ParseError> {
    let if_not_exists = cursor.take_words(&["IF", "NOT", "EXISTS"])?;
    let name = function_name(cursor)?;
    let parameters = parameters(cursor)?;
    cursor.expect_word("RETURNS")?;
    let returns = column_type(cursor)?;
    let is_component = match cursor.take_word("LANGUAGE") {
        true if cursor.take_word("WASM") => true,
        true if !cursor.take_word("SQL") => {
            let hint = "functions in other languages are WebAssembly: springhouse function add FILE.wasm";
            return Err(cursor.expected("SQL or WASM", Some(hint)));
        }
        _ => false,
    };
    // What a function gives depends on its arguments alone, so that this says nothing else.
    cursor.take_word("IMMUTABLE");
    let body = if is_component { exported(cursor)? } else { body(cursor)? };
    let text = cursor.text_since(start);
    Ok(CreateFunction { name, or_replace, if_not_exists, parameters, returns, body, text })
}

/// A name as a call in an expression shows it.
pub(super) fn function_name(cursor: &mut Cursor<'_>) -> Result<StreamName, ParseError> {
    let at = cursor.mark();
    let name = cursor.stream_name("the function's name")?;
    match name.as_str() {
        text if text.contains('.') => {
            let hint = "a function is called by one word";
            Err(cursor.error_at(at, "a name without a dot", format!("`{name}`"), Some(hint.to_owned())))
        }
        text if text.len() > NAME_BYTES_MAX => {
            let expected = format!("a name of at most {NAME_BYTES_MAX} bytes");
            Err(cursor.error_at(at, expected, format!("`{name}`"), None))
        }
        _ => Ok(name),
    }
}

fn parameters(cursor: &mut Cursor<'_>) -> Result<Vec<Parameter>, ParseError> {
    cursor.expect_token(Token::LParen, "`(` and the parameters")?;
    let mut parameters: Vec<Parameter> = Vec::new();
    if cursor.take_token(&Token::RParen) {
        return Ok(parameters);
    }
    loop {
        let at = cursor.mark();
        let name = cursor.identifier("a parameter's name")?;
        if parameters.iter().any(|earlier| earlier.name == name) {
            return Err(cursor.error_at(at, "another parameter", format!("`{name}` again"), None));
        }
        if parameters.len() >= PARAMETERS_MAX {
            return Err(cursor.error_at(
                at,
                format!("at most {PARAMETERS_MAX} parameters"),
                "another one",
                None,
            ));
        }
        parameters.push(Parameter { name, ty: column_type(cursor)? });
        if cursor.take_token(&Token::RParen) {
            return Ok(parameters);
        }
        cursor.expect_token(Token::Comma, "`,` or `)`")?;
    }
}

fn body(cursor: &mut Cursor<'_>) -> Result<FunctionBody, ParseError> {
    const HINT: &str = "RETURN celsius * 1.8 + 32, or AS (celsius * 1.8 + 32)";
    if cursor.take_word("RETURN") {
        let (text, at) = cursor.expression_until("an expression", |_| false)?;
        return Ok(FunctionBody::Sql { text, at });
    }
    if !cursor.take_word("AS") {
        return Err(cursor.expected("RETURN or AS", Some(HINT)));
    }
    if cursor.peek() != Some(&Token::LParen) {
        return Err(cursor.expected("`(` and an expression", Some(HINT)));
    }
    let (text, at) = cursor.expression_until("an expression", |_| false)?;
    Ok(FunctionBody::Sql { text, at })
}

fn exported(cursor: &mut Cursor<'_>) -> Result<FunctionBody, ParseError> {
    cursor.expect_word("AS")?;
    let at = cursor.mark();
    let digest = cursor.text("the SHA-256 of a component")?;
    let digest = digest.parse().map_err(|error: NotADigest| {
        cursor.error_at(at, "the SHA-256 of a component", format!("'{digest}'"), Some(error.to_string()))
    })?;
    cursor.expect_token(Token::Comma, "`,` and the name of the export")?;
    let export = cursor.text("the name of the export")?;
    Ok(FunctionBody::Component { digest, export })
}
