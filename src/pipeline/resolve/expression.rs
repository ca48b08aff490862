//! The grammar of `${{ … }}`: a context and a key, nothing else.

use crate::project::manifest::{CLOSING, OPENING};
use crate::value::KeyPath;

/// What an expression looks into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// The cell of a matrix.
    Matrix,
    /// The default params files.
    Params,
    /// Variables that `esker.toml` names.
    Env,
}

/// `${{ params.train.lr }}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expression {
    pub(super) context: Context,
    pub(super) key: KeyPath,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Expression(Expression),
}

/// What is wrong with an expression, and which of the text it is, from 0.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) nth: usize,
    pub(super) message: String,
}

/// Cuts a text into what stands as it is and what is filled in.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Malformed> {
    let (mut pieces, mut rest, mut nth) = (Vec::new(), text, 0);
    while let Some((before, after)) = rest.split_once(OPENING) {
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let malformed = |message| Malformed { nth, message };
        let Some((inside, after)) = after.split_once(CLOSING) else {
            return Err(malformed(format!("`{OPENING}` without `{CLOSING}`")));
        };
        pieces.push(Piece::Expression(expression(inside).map_err(malformed)?));
        rest = after;
        nth += 1;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn expression(inside: &str) -> Result<Expression, String> {
    let inside = inside.trim();
    if inside.contains(OPENING) {
        return Err("expressions do not nest".to_owned());
    }
    let contexts = "`matrix.…`, `params.…` or `env.…`";
    let (name, key) = inside.split_once('.').unwrap_or((inside, ""));
    let context = match name {
        "matrix" => Context::Matrix,
        "params" => Context::Params,
        "env" => Context::Env,
        _ => return Err(format!("`{inside}` is no expression: it is {contexts}")),
    };
    match key.parse::<KeyPath>() {
        Ok(found) if is_bare_or_quoted(key) => Ok(Expression {
            context,
            key: found,
        }),
        _ => Err(format!(
            "`{inside}` is no expression: `{name}.` and a key, without functions and arithmetic"
        )),
    }
}

/// Whether what stands outside of quotes is letters, digits, `_`, `-` and dots.
fn is_bare_or_quoted(key: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    key.chars().all(|c| {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            return true;
        }
        quoted = c == '"';
        quoted || c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
    })
}

impl Expression {
    /// As people write it, without the braces.
    pub(super) fn shown(&self) -> String {
        let context = match self.context {
            Context::Matrix => "matrix",
            Context::Params => "params",
            Context::Env => "env",
        };
        format!("{context}.{}", self.key)
    }
}
