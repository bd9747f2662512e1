//! The strings of `Fn::Sub`.

/// A piece of such a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Stands as it is.
    Literal(String),
    /// `${Name}`, `${AWS::Region}` or `${Resource.Attribute}`: what is between the braces.
    Variable(String),
}

/// Splits `text` at its variables. `${!Name}` is the literal `${Name}`.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("${") {
        literal.push_str(before);
        let (variable, after) = inside.split_once('}').ok_or_else(|| format!("`${{{inside}` has no closing brace"))?;
        match variable.strip_prefix('!') {
            Some(escaped) => {
                literal.push_str("${");
                literal.push_str(escaped);
                literal.push('}');
            }
            None if is_name(variable) => {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Variable(variable.to_owned()));
            }
            None => return Err(format!("`${{{variable}}}` is no name")),
        }
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Piece, pieces};

    fn literal(text: &str) -> Piece {
        Piece::Literal(text.to_owned())
    }

    fn variable(name: &str) -> Piece {
        Piece::Variable(name.to_owned())
    }

    #[test]
    fn variables_are_told_from_what_stands_between() {
        assert_eq!(
            pieces("arn:${AWS::Partition}:s3:::${Bucket.Name}/*").unwrap(),
            [literal("arn:"), variable("AWS::Partition"), literal(":s3:::"), variable("Bucket.Name"), literal("/*")]
        );
    }

    #[test]
    fn an_exclamation_mark_escapes() {
        assert_eq!(pieces("a ${!b} ${c}").unwrap(), [literal("a ${b} "), variable("c")]);
    }

    #[test]
    fn lone_dollars_and_braces_are_literal() {
        assert_eq!(pieces("$1 {a} $").unwrap(), [literal("$1 {a} $")]);
        assert_eq!(pieces("").unwrap(), []);
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for text in ["${", "${a", "a ${} b", "${a b}", "${${a}}"] {
            assert!(pieces(text).is_err(), "{text}");
        }
    }

    /// A piece and how a template writes it.
    fn piece() -> impl Strategy<Value = (Piece, String)> {
        prop_oneof![
            "[a-z$ {}:/*]{1,12}"
                .prop_filter("may not open a variable", |text| !text.contains("${"))
                .prop_map(|text| (literal(&text), text)),
            "[A-Za-z0-9.:]{1,12}".prop_map(|name| (variable(&name), format!("${{{name}}}"))),
            "[a-z.:]{0,12}".prop_map(|name| (literal(&format!("${{{name}}}")), format!("${{!{name}}}"))),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn what_was_written_is_read(written in prop::collection::vec(piece(), 0..8)) {
            let mut expected: Vec<Piece> = Vec::new();
            let mut text = String::new();
            for (piece, source) in written {
                // A literal's last `$` would open a variable with a brace that follows.
                if text.ends_with('$') && source.starts_with('{') {
                    continue;
                }
                text.push_str(&source);
                match (expected.last_mut(), piece) {
                    (Some(Piece::Literal(before)), Piece::Literal(after)) => before.push_str(&after),
                    (_, piece) => expected.push(piece),
                }
            }
            prop_assert_eq!(pieces(&text).unwrap(), expected);
        }

        #[test]
        fn no_text_panics(text in "[$!{}a. é]{0,24}") {
            let _ = pieces(&text);
        }
    }
}
