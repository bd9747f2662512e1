//! YAML text -> a tree that keeps its tags (`!Sub`), the order of its maps, and where each node stands.

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

use crate::error::{Error, Place};

/// A node of the template.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    /// `!Name argument`, without the exclamation mark.
    Tagged(String, Box<Node>),
}

impl Node {
    /// What is wrong with this node.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        self.place.error(message)
    }

    /// The entries of a map.
    pub(crate) fn entries(&self) -> Result<&[(String, Node)], Error> {
        match &self.value {
            Value::Map(entries) => Ok(entries),
            _ => Err(self.error("a map belongs here")),
        }
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Result<&[Node], Error> {
        match &self.value {
            Value::List(items) => Ok(items),
            _ => Err(self.error("a list belongs here")),
        }
    }

    /// A scalar as text. CloudFormation makes no difference between `5` and `'5'`, nor do we.
    pub(crate) fn text(&self) -> Result<String, Error> {
        match &self.value {
            Value::Text(text) => Ok(text.clone()),
            Value::Boolean(value) => Ok(value.to_string()),
            Value::Integer(value) => Ok(value.to_string()),
            Value::Float(value) => Ok(value.to_string()),
            _ => Err(self.error("a text belongs here")),
        }
    }

    /// The text of a scalar that was written as text: a name.
    pub(crate) fn name(&self) -> Result<&str, Error> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.error("a name belongs here")),
        }
    }
}

/// Deeper than any template; it keeps the recursion within the stack.
const MAX_DEPTH: usize = 64;

/// Reads the one document of `text`.
pub(crate) fn parse(text: &str) -> Result<Node, Error> {
    let mut reader = Reader { parser: Parser::new_from_str(text) };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_), _) => {}
            (Event::StreamEnd, _) => return Err(Place::default().error("the template is empty")),
            (event, line) => return reader.node(event, &Place { line, path: String::new() }, 0),
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
}

impl<'t> Reader<'t> {
    /// The next event and its line.
    fn next(&mut self) -> Result<(Event<'t>, usize), Error> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(error)) => {
                let place = Place { line: error.marker().line(), path: String::new() };
                Err(place.error(format!("no YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    /// The node that `event` begins.
    fn node(&mut self, event: Event<'t>, place: &Place, depth: usize) -> Result<Node, Error> {
        if depth > MAX_DEPTH {
            return Err(place.error(format!("nested more than {MAX_DEPTH} deep")));
        }
        let (value, tag) = match event {
            Event::Scalar(text, style, _, tag) => (scalar(&text, style, tag.as_deref()), tag),
            Event::SequenceStart(_, tag) => (Value::List(self.list(place, depth)?), tag),
            Event::MappingStart(_, tag) => (Value::Map(self.map(place, depth)?), tag),
            Event::Alias(_) => return Err(place.error("aliases are not known to CloudFormation")),
            _ => return Err(place.error("something is missing here")),
        };
        let node = Node { place: place.clone(), value };
        match tag {
            Some(tag) if !tag.is_yaml_core_schema() => {
                let value = Value::Tagged(tag.suffix.clone(), Box::new(node));
                Ok(Node { place: place.clone(), value })
            }
            _ => Ok(node),
        }
    }

    fn list(&mut self, place: &Place, depth: usize) -> Result<Vec<Node>, Error> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, line) => items.push(self.node(event, &place.entry(items.len(), line), depth + 1)?),
            }
        }
    }

    fn map(&mut self, place: &Place, depth: usize) -> Result<Vec<(String, Node)>, Error> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        loop {
            let (key, line) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(entries),
                (Event::Scalar(key, ..), line) => (key.into_owned(), line),
                (_, line) => return Err(Place { line, ..place.clone() }.error("a key is a text")),
            };
            let place = place.entry(&key, line);
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(place.error("this key stands here twice"));
            }
            let (event, _) = self.next()?;
            let value = self.node(event, &place, depth + 1)?;
            entries.push((key, value));
        }
    }
}

/// A scalar by YAML's core schema. What is quoted or tagged is text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    if style != ScalarStyle::Plain || tag.is_some() {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Boolean(true),
        "false" | "False" | "FALSE" => Value::Boolean(false),
        _ => number(text).unwrap_or_else(|| Value::Text(text.to_owned())),
    }
}

/// A number, but none of the words that Rust also takes for one (`inf`, `nan`), and no `007`.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if padded || !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    text.parse().map(Value::Integer).or_else(|_| text.parse().map(Value::Float)).ok()
}
