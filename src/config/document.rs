//! Reads a TOML text field by field, noting where each stands and collecting errors instead of stopping at the first.
//!
//! `serde`'s derive would end at the first error and quote the value in it; both are wrong here.

use super::error::{ConfigError, Fault, Place};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// More errors than this in one file help nobody.
const MOST_ERRORS: usize = 20;

/// A text being read, with what was found wrong in it.
pub(super) struct Document<'d> {
    file: &'d Path,
    text: &'d str,
    errors: RefCell<Vec<ConfigError>>,
}

/// A field's full name, and where in the text it stands, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Field {
    name: String,
    at: usize,
}

/// A value with its field, for errors that show only when it is seen beside others.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub value: T,
    pub field: Field,
}

/// One table. Fields that were never asked for are unknown ones.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    field: Field,
    table: DeTable<'d>,
    asked: Vec<&'static str>,
}

impl<'d> Document<'d> {
    pub fn new(file: &'d Path, text: &'d str) -> Self {
        Self { file, text, errors: RefCell::default() }
    }

    /// The document's outermost table; `None` when the text is not TOML, which is noted.
    pub fn root(&'d self) -> Option<Section<'d>> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            // The error's own text would quote the line it stands in; its message does not.
            self.note(at, None, Fault::Syntax(error.message().to_owned()));
        }
        if !errors.is_empty() {
            return None;
        }
        let field = Field { name: String::new(), at: 0 };
        Some(Section { document: self, field, table: root.into_inner(), asked: Vec::new() })
    }

    pub fn refuse(&self, field: &Field, fault: Fault) {
        self.note(field.at, Some(field.name.clone()), fault);
    }

    /// Where a field stands.
    pub fn place(&self, field: &Field) -> Place {
        place_of(self.text, field.at)
    }

    fn note(&self, at: usize, field: Option<String>, fault: Fault) {
        let mut errors = self.errors.borrow_mut();
        if errors.len() < MOST_ERRORS {
            let place = Some(place_of(self.text, at));
            errors.push(ConfigError { file: self.file.to_path_buf(), place, field, fault });
        }
    }

    /// What was found wrong, in the order of the text.
    pub fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|error| error.place);
        errors
    }
}

/// Line and column of a byte of the text. A position beyond it counts as its end.
fn place_of(text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place {
        line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

impl<'d> Section<'d> {
    /// Whether the field is written down at all, rightly or wrongly.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Notes that a field is missing, unless it is there and was refused for something else.
    pub fn require<T>(&self, key: &'static str, hint: &'static str, found: Option<T>) -> Option<T> {
        if found.is_none() && !self.has(key) {
            self.document.refuse(&self.named(key), Fault::Missing(hint));
        }
        found
    }

    /// The field of that name; where it is not there, the place of the table that it belongs in.
    pub fn named(&self, key: &str) -> Field {
        let name = if self.field.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.field.name) };
        let at = self.table.get(key).map_or(self.field.at, |value| value.span().start);
        Field { name, at }
    }

    pub fn refuse(&self, key: &str, fault: Fault) {
        self.document.refuse(&self.named(key), fault);
    }

    /// A text of one line, without blanks around it, of at most `limit` characters.
    pub fn line(&mut self, key: &'static str, limit: usize) -> Option<Found<String>> {
        self.text(key, limit, false)
    }

    /// A text that may have several lines.
    pub fn lines(&mut self, key: &'static str, limit: usize) -> Option<Found<String>> {
        self.text(key, limit, true)
    }

    fn text(&mut self, key: &'static str, limit: usize, several_lines: bool) -> Option<Found<String>> {
        let (value, field) = self.take(key)?;
        let DeValue::String(text) = &value else {
            return self.wrong_type(&field, "a text in quotes", &value);
        };
        let text = text.trim();
        let fault = if text.is_empty() {
            Fault::Empty
        } else if text.chars().count() > limit {
            Fault::TooLong { limit }
        } else if text.chars().any(|c| c.is_control() && !(several_lines && c == '\n')) {
            Fault::ControlCharacters
        } else {
            return Some(Found { value: text.to_owned(), field });
        };
        self.document.refuse(&field, fault);
        None
    }

    pub fn number(&mut self, key: &'static str, range: RangeInclusive<u32>, unit: &'static str) -> Option<Found<u32>> {
        let (value, field) = self.take(key)?;
        let DeValue::Integer(integer) = &value else {
            return self.wrong_type(&field, "a whole number", &value);
        };
        match u32::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if range.contains(&number) => Some(Found { value: number, field }),
            _ => {
                self.document.refuse(&field, Fault::OutOfRange { min: *range.start(), max: *range.end(), unit });
                None
            }
        }
    }

    pub fn switch(&mut self, key: &'static str) -> Option<Found<bool>> {
        let (value, field) = self.take(key)?;
        match value.as_bool() {
            Some(value) => Some(Found { value, field }),
            None => self.wrong_type(&field, "true or false", &value),
        }
    }

    /// A list of at most `most` things, each read by `read`; `wanted` says of what.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        most: usize,
        wanted: &'static str,
        read: impl Fn(&DeValue<'d>) -> Result<T, Fault>,
    ) -> Option<Vec<T>> {
        let (value, field) = self.take(key)?;
        let DeValue::Array(array) = value else {
            return self.wrong_type(&field, wanted, &value);
        };
        if array.len() > most {
            self.document.refuse(&field, Fault::TooMany { most });
            return None;
        }
        let mut all = Vec::new();
        for (index, item) in array.iter().enumerate() {
            match read(item.get_ref()) {
                Ok(one) => all.push(one),
                Err(fault) => {
                    let field = Field { name: format!("{}[{}]", field.name, index + 1), at: item.span().start };
                    self.document.refuse(&field, fault);
                }
            }
        }
        Some(all)
    }

    /// One of an enum's names, as its `Deserialize` knows them.
    pub fn choice<T: for<'de> Deserialize<'de>>(&mut self, key: &'static str) -> Option<Found<T>> {
        let (value, field) = self.take(key)?;
        let DeValue::String(text) = &value else {
            return self.wrong_type(&field, "a text in quotes", &value);
        };
        let text: &str = text;
        match T::deserialize(IntoDeserializer::<NotAChoice>::into_deserializer(text)) {
            Ok(value) => Some(Found { value, field }),
            Err(NotAChoice(choices)) => {
                self.document.refuse(&field, Fault::NotOneOf(choices));
                None
            }
        }
    }

    /// A table below this one. One that is not written down reads as an empty one.
    pub fn section(&mut self, key: &'static str) -> Section<'d> {
        let empty =
            Section { document: self.document, field: self.named(key), table: DeTable::new(), asked: Vec::new() };
        let Some((value, field)) = self.take(key) else {
            return empty;
        };
        match value {
            DeValue::Table(table) => Section { field, table, ..empty },
            other => {
                self.document.refuse(&field, Fault::WrongType { wanted: "a table", found: other.type_str() });
                empty
            }
        }
    }

    /// A list of tables, written `[[key]]`; `None` when there is none.
    pub fn sections(&mut self, key: &'static str) -> Option<Vec<Section<'d>>> {
        let (value, field) = self.take(key)?;
        let wanted = "a list of tables, each under a double-bracketed heading";
        let DeValue::Array(array) = value else {
            return self.wrong_type(&field, wanted, &value);
        };
        let mut sections = Vec::new();
        for (index, item) in array.into_iter().enumerate() {
            let field = Field { name: format!("{}[{}]", field.name, index + 1), at: item.span().start };
            match item.into_inner() {
                DeValue::Table(table) => {
                    sections.push(Section { document: self.document, field, table, asked: Vec::new() });
                }
                other => self.document.refuse(&field, Fault::WrongType { wanted, found: other.type_str() }),
            }
        }
        Some(sections)
    }

    /// A list of texts of one line, each of at most `limit` characters, and at least one.
    pub fn texts(&mut self, key: &'static str, most: usize, limit: usize) -> Option<Vec<Found<String>>> {
        let (value, field) = self.take(key)?;
        let DeValue::Array(array) = &value else {
            return self.wrong_type(&field, "a list of texts in quotes", &value);
        };
        if array.is_empty() || array.len() > most {
            let fault = if array.is_empty() { Fault::Empty } else { Fault::TooLong { limit: most } };
            self.document.refuse(&field, fault);
            return None;
        }
        let mut texts = Vec::new();
        for (index, item) in array.iter().enumerate() {
            let field = Field { name: format!("{}[{}]", field.name, index + 1), at: item.span().start };
            match item.get_ref() {
                DeValue::String(text) if text.chars().count() <= limit => {
                    texts.push(Found { value: text.trim().to_owned(), field });
                }
                DeValue::String(_) => self.document.refuse(&field, Fault::TooLong { limit }),
                other => {
                    self.document
                        .refuse(&field, Fault::WrongType { wanted: "a text in quotes", found: other.type_str() });
                }
            }
        }
        Some(texts)
    }

    /// Notes every field that nobody asked for.
    pub fn finish(self) {
        for key in self.table.keys() {
            let written: &str = key.get_ref();
            if self.asked.contains(&written) {
                continue;
            }
            let fault = if written == "password" {
                Fault::PasswordInline
            } else {
                Fault::UnknownField { known: self.asked.clone() }
            };
            let field = Field { at: key.span().start, ..self.named(written) };
            self.document.refuse(&field, fault);
        }
    }

    fn take(&mut self, key: &'static str) -> Option<(DeValue<'d>, Field)> {
        self.asked.push(key);
        let field = self.named(key);
        let value: Spanned<DeValue<'d>> = self.table.get(key)?.clone();
        Some((value.into_inner(), field))
    }

    fn wrong_type<T>(&self, field: &Field, wanted: &'static str, value: &DeValue<'_>) -> Option<T> {
        self.document.refuse(field, Fault::WrongType { wanted, found: value.type_str() });
        None
    }
}

/// The names that an enum would have taken.
#[derive(Debug)]
struct NotAChoice(&'static [&'static str]);

impl fmt::Display for NotAChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not one of {}", self.0.join(", "))
    }
}

impl std::error::Error for NotAChoice {}

impl serde::de::Error for NotAChoice {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(expected)
    }
}
