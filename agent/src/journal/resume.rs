//! Up to where the server's log is held, as a line of the journal says it.

use std::collections::BTreeMap;

use node::ids::{Place, Position, Resume};
use schemas::class::{Class, PerClass};
use schemas::guid::parse_128;
use serde::{Deserialize, Serialize};

use super::line::digest;

/// A place in the server's log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeLine {
    /// The life of the log, as a UUID.
    pub incarnation: String,
    /// In it: everything up to here is held.
    pub position: u64,
    /// The item there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Of these classes more is held.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ahead: BTreeMap<ClassName, PlaceLine>,
}

/// Up to where one class of items is held.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceLine {
    /// In the same log.
    pub position: u64,
    /// The item there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
}

/// A class of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassName {
    /// CVSS 9.0 and above.
    Critical,
    /// Everything else that is small.
    Normal,
    /// What is large.
    Bulk,
}

impl From<Class> for ClassName {
    fn from(class: Class) -> Self {
        match class {
            Class::Critical => Self::Critical,
            Class::Normal => Self::Normal,
            Class::Bulk => Self::Bulk,
        }
    }
}

pub(super) fn resume_line(resume: Resume) -> ResumeLine {
    let line =
        |place: Place| PlaceLine { position: place.position.0, item: place.digest.map(|digest| digest.to_string()) };
    let places = resume.places.into_array();
    // Of two that are as far, the one whose item is known.
    let least = places.into_iter().min_by_key(|place| (place.position, place.digest.is_none())).unwrap_or_default();
    let ahead = resume.places.iter().filter(|(_, place)| **place != least);
    let PlaceLine { position, item } = line(least);
    ResumeLine {
        incarnation: uuid::Uuid::from_u128(resume.incarnation).to_string(),
        position,
        item,
        ahead: ahead.map(|(class, place)| (class.into(), line(*place))).collect(),
    }
}

pub(super) fn resume(line: &ResumeLine) -> Result<Resume, String> {
    let place = |position, item: Option<&str>| -> Result<Place, String> {
        let digest = item.map(|hex| digest(Some(hex))).transpose()?;
        Ok(Place { position: Position(position), digest })
    };
    let incarnation = parse_128(&line.incarnation).map_err(|error| error.to_string())?;
    let mut places = PerClass::all(place(line.position, line.item.as_deref())?);
    for (class, own) in places.iter_mut() {
        if let Some(ahead) = line.ahead.get(&class.into()) {
            *own = place(ahead.position, ahead.item.as_deref())?;
        }
    }
    Ok(Resume { incarnation, places })
}
