//! Texts with `$context` variables: templates of gateway responses, and the access log's format.

/// A text, read once and rendered for each request.
#[derive(Debug, PartialEq)]
pub(crate) struct Text {
    pieces: Vec<Piece>,
}

#[derive(Debug, PartialEq)]
enum Piece {
    Literal(String),
    /// Without `$context.`
    Variable(String),
}

const MARK: &str = "$context.";

impl Text {
    pub(crate) fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(MARK) {
            let (before, variable) = rest.split_at(start);
            let variable = &variable[MARK.len()..];
            let length = variable.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_').unwrap_or(variable.len());
            // A full stop that ends a sentence is no part of the name.
            let name = variable[..length].trim_end_matches('.');
            literal.push_str(before);
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Variable(name.to_owned()));
            rest = &variable[name.len()..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Self { pieces }
    }

    /// The text with what `write` puts in each variable's place.
    pub(crate) fn render(&self, mut write: impl FnMut(&str, &mut String)) -> String {
        let mut text = String::with_capacity(512);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Variable(name) => write(name, &mut text),
            }
        }
        text
    }

    /// The variables' names.
    #[cfg(test)]
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }
}

/// Adds a value as the inside of a JSON string: whatever a client sends, a line of the log stays one line, and JSON stays JSON.
pub(crate) fn push_escaped(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            c if c.is_control() => {
                use std::fmt::Write as _;
                // Writing to a string does not fail.
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn substitute(text: &str) -> String {
        Text::parse(text).render(|name, text| text.push_str(if name == "requestId" { "42" } else { "" }))
    }

    #[test]
    fn everything_else_is_left_alone() {
        assert_eq!(substitute("$context.requestId"), "42");
        assert_eq!(substitute("a $context.requestId. b"), "a 42. b");
        assert_eq!(substitute("$context.requestId$context.requestId"), "4242");
        assert_eq!(substitute("$context. $contextual $ 5€"), " $contextual $ 5€");
        assert_eq!(substitute(""), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Against the obvious way: a name at a time, left to right.
        #[test]
        fn each_variable_is_replaced_where_it_stands(
            parts in prop::collection::vec(("[ -#%-~é]{0,6}", "[a-z][a-zA-Z]{0,5}(\\.[a-z]{1,4}){0,2}"), 0..6),
        ) {
            let mut text = String::new();
            let mut expected = String::new();
            for (literal, name) in &parts {
                // Between them something that is in no name.
                text += &[literal, MARK, name, "\""].concat();
                expected += &[literal, "<", name, ">\""].concat();
            }
            let rendered = Text::parse(&text).render(|name, text| *text += &["<", name, ">"].concat());
            prop_assert_eq!(rendered, expected);
        }

        #[test]
        fn no_text_panics_and_what_has_no_variable_stays(text in "(\\$|\\$context|\\.|[a-z]|\\PC){0,30}") {
            let rendered = Text::parse(&text).render(|_, _| ());
            if !text.contains(MARK) {
                prop_assert_eq!(rendered, text);
            }
        }

        #[test]
        fn an_escaped_value_is_itself_again_in_json(value in "(\\PC|[\\x00-\\x1f\"\\\\]){0,20}") {
            let mut json = String::from("\"");
            push_escaped(&mut json, &value);
            json.push('"');
            prop_assert!(!json.contains(['\n', '\r']));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value);
        }
    }
}
