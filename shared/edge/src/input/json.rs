//! Reads JSON.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, Visitor},
};
use serde_json::Number;

use super::Input;

/// How deeply arrays and objects may be nested. Our own go four levels deep; whoever reads deeper texts may run out of stack.
const MOST_LEVELS: usize = 16;

/// The value that a text is.
pub(crate) fn read(text: &[u8]) -> Result<Input, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let input = AnyValue { levels: MOST_LEVELS }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(input)
}

/// Any value of so many levels at most.
#[derive(Clone, Copy)]
struct AnyValue {
    levels: usize,
}

impl AnyValue {
    /// What may be in it.
    fn inner<E: de::Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1);
        levels.map(|levels| Self { levels }).ok_or_else(|| E::custom(format_args!("nested more than {MOST_LEVELS} levels deep")))
    }
}

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Input;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Input, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Input;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Input, E> {
        Ok(Input::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Input, E> {
        Ok(Input::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Input, E> {
        Ok(Input::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Input, E> {
        Ok(Input::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Input, E> {
        Number::from_f64(value).map(Input::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Input, E> {
        Ok(Input::Text(value.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Input, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Input::Array(array))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Input, A::Error> {
        let inner = self.inner()?;
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry_seed(PhantomData::<String>, inner)? {
            object.push(entry);
        }
        Ok(Input::Object(object))
    }
}
