//! The attributes of a start tag (productions 40 to 44 and 10): grammar, uniqueness, limits.

use super::characters::{is_blank, is_name};
use super::{Fault, references};
use crate::limits::Limits;

/// An attribute as it stands, namespace declarations included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The qualified name.
    pub name: &'a str,
    /// The value between its quotes, references not replaced.
    pub raw: &'a str,
    /// Where the name begins.
    pub byte: usize,
}

/// Reads what stands between an element's name and the end of its tag, `base` being the place of its first byte.
pub(super) fn parse<'a>(
    raw: &'a str,
    base: usize,
    limits: &Limits,
    attributes: &mut Vec<Attribute<'a>>,
) -> Result<(), Fault> {
    attributes.clear();
    let mut rest = Rest { raw, at: 0, base };
    loop {
        let blanks = rest.skip_blanks();
        if rest.is_empty() {
            return unique(attributes);
        }
        if blanks == 0 {
            return Err(rest.fault("attributes need a blank between them"));
        }
        if attributes.len() == limits.attributes {
            return Err(Fault::limit(rest.byte(), "attributes", limits.attributes));
        }
        attributes.push(rest.attribute(limits)?);
    }
}

/// No name twice, without comparing each with each.
fn unique(attributes: &[Attribute<'_>]) -> Result<(), Fault> {
    const FEW: usize = 8;
    let twice = |at: &Attribute<'_>| Err(Fault::syntax(at.byte, "the same attribute twice"));
    if attributes.len() <= FEW {
        let again =
            |(index, at): &(usize, &Attribute<'_>)| attributes[..*index].iter().any(|other| other.name == at.name);
        return attributes.iter().enumerate().find(again).map_or(Ok(()), |(_, at)| twice(at));
    }
    let mut sorted: Vec<&Attribute<'_>> = attributes.iter().collect();
    sorted.sort_unstable_by_key(|at| (at.name, at.byte));
    sorted.windows(2).find(|pair| pair[0].name == pair[1].name).map_or(Ok(()), |pair| twice(pair[1]))
}

/// What is left of a tag.
struct Rest<'a> {
    raw: &'a str,
    at: usize,
    base: usize,
}

impl<'a> Rest<'a> {
    fn is_empty(&self) -> bool {
        self.at == self.raw.len()
    }

    fn byte(&self) -> usize {
        self.base + self.at
    }

    fn fault(&self, what: &str) -> Fault {
        Fault::syntax(self.byte(), what)
    }

    fn tail(&self) -> &'a [u8] {
        &self.raw.as_bytes()[self.at..]
    }

    fn skip_blanks(&mut self) -> usize {
        let blanks = self.tail().iter().take_while(|byte| is_blank(**byte)).count();
        self.at += blanks;
        blanks
    }

    fn attribute(&mut self, limits: &Limits) -> Result<Attribute<'a>, Fault> {
        let byte = self.byte();
        let name = self.name(limits)?;
        self.skip_blanks();
        self.expect(b'=')?;
        self.skip_blanks();
        let raw = self.value(limits)?;
        Ok(Attribute { name, raw, byte })
    }

    fn name(&mut self, limits: &Limits) -> Result<&'a str, Fault> {
        let length = self.tail().iter().take_while(|byte| !is_blank(**byte) && **byte != b'=').count();
        if length > limits.name_bytes {
            return Err(Fault::limit(self.byte(), "name_bytes", limits.name_bytes));
        }
        let name = &self.raw[self.at..self.at + length];
        if !is_name(name) {
            return Err(self.fault("an attribute's name is no name"));
        }
        self.at += length;
        Ok(name)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.tail().first() != Some(&byte) {
            return Err(self.fault("an attribute without '=' and a value"));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, limits: &Limits) -> Result<&'a str, Fault> {
        let quote = match self.tail().first() {
            Some(quote @ (b'"' | b'\'')) => *quote,
            _ => return Err(self.fault("an attribute's value without quotes")),
        };
        self.at += 1;
        let Some(length) = memchr::memchr(quote, self.tail()) else {
            return Err(self.fault("an attribute's value without its closing quote"));
        };
        if length > limits.attribute_bytes {
            return Err(Fault::limit(self.byte(), "attribute_bytes", limits.attribute_bytes));
        }
        let value = &self.raw[self.at..self.at + length];
        if let Some(at) = memchr::memchr(b'<', value.as_bytes()) {
            return Err(Fault::syntax(self.byte() + at, "'<' in an attribute's value"));
        }
        references::check(value, self.byte())?;
        self.at += length + 1;
        Ok(value)
    }
}
