//! A want as it lies in a record.

use rkyv::{Archive, Deserialize, Serialize};

use super::Want;
use crate::name::Name;
use crate::record::{self, RecordError};

/// Plain texts only: the name is read again, beside what packs it.
#[derive(Archive, Serialize, Deserialize)]
enum WantRecord {
    Everything,
    Component { name: String, packaging: Option<Box<str>>, package: Option<Box<str>>, version: Option<Box<str>> },
    Product(Box<str>),
    Company(Box<str>),
    Id(Box<str>),
    Source(Box<str>),
    Element { source: Box<str>, id: Box<str> },
}

impl Want {
    /// The bytes for a record.
    pub fn encode(&self) -> Vec<u8> {
        record::encode(&WantRecord::from(self.clone()))
    }

    /// Reads a record; damaged bytes are an error.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        record::decode::<WantRecord>(bytes)?.try_into()
    }
}

impl From<Want> for WantRecord {
    fn from(want: Want) -> Self {
        match want {
            Want::Everything => Self::Everything,
            Want::Component { name, package, version } => {
                let packaging = name.packaging().map(|packaging| packaging.as_str().into());
                Self::Component { name: name.to_string(), packaging, package, version }
            }
            Want::Product(product) => Self::Product(product),
            Want::Company(company) => Self::Company(company),
            Want::Id(id) => Self::Id(id),
            Want::Source(source) => Self::Source(source),
            Want::Element { source, id } => Self::Element { source, id },
        }
    }
}

impl TryFrom<WantRecord> for Want {
    type Error = RecordError;

    fn try_from(record: WantRecord) -> Result<Self, RecordError> {
        Ok(match record {
            WantRecord::Everything => Self::Everything,
            WantRecord::Component { name, packaging, package, version } => {
                let name = Name::parse(&name, packaging.as_deref());
                let name = name.ok_or(RecordError::Contradiction("a component without a name"))?;
                Self::Component { name, package, version }
            }
            WantRecord::Product(product) => Self::Product(product),
            WantRecord::Company(company) => Self::Company(company),
            WantRecord::Id(id) => Self::Id(id),
            WantRecord::Source(source) => Self::Source(source),
            WantRecord::Element { source, id } => Self::Element { source, id },
        })
    }
}
