//! What is durable of an uplink: rows of [`Table::Uplinks`], keyed by the upstream's GUID.

use bytes::{BufMut, Bytes, BytesMut};
use schemas::class::PerClass;
use schemas::digest::Digest;
use schemas::guid::{ClientGuid, ServerGuid};
use topology::want::Want;

use super::{Ask, Assigned, Gone, Realm, Uplink};
use crate::ids::{Place, Position, Resume, Time};
use crate::records::Damaged;
use crate::store::{Table, Write};

/// How far the upstream was heard.
const RESUME: u8 = 0;
/// That it has the standing Request:Catalog.
const CATALOG: u8 = 1;
/// That it refused more than a list and single elements.
const FALLEN_BACK: u8 = 2;
/// A want that it has; with a value, one that it may have.
const ASKED: u8 = 3;
const UNSURE: &[u8] = b"?";
/// That it was told everything of those below.
const TOLD: u8 = 4;
/// A client that is gone, which it was not told yet.
const GONE: u8 = 5;
/// The GUID that it gave this node, and in which life of its log.
const ASSIGNED: u8 = 6;
/// A want to be fetched once more.
const REFETCH: u8 = 7;

/// Whose realm the upstream was when it was last asked.
const REALM: u8 = 8;

/// The upstream that a row belongs to.
pub(crate) fn server_of(key: &[u8]) -> Result<ServerGuid, Damaged> {
    let guid = key.first_chunk::<16>().ok_or(Damaged { what: "uplink key", reason: "shorter than a GUID".into() })?;
    Ok(ServerGuid(u128::from_be_bytes(*guid)))
}

impl Uplink {
    fn key(&self, kind: u8, rest: &[u8]) -> Bytes {
        let mut key = BytesMut::with_capacity(17 + rest.len());
        key.put_u128(self.config.server.0);
        key.put_u8(kind);
        key.put_slice(rest);
        key.freeze()
    }

    pub(super) fn put(&self, kind: u8, rest: &[u8], value: Bytes) -> Write {
        Write::Put { table: Table::Uplinks, key: self.key(kind, rest), value }
    }

    fn delete(&self, kind: u8, rest: &[u8]) -> Write {
        Write::Delete { table: Table::Uplinks, key: self.key(kind, rest) }
    }

    /// The row for a resume position, to be written with what it counts.
    pub(crate) fn put_resume(&self, resume: Resume) -> Write {
        let mut value = BytesMut::with_capacity(136);
        value.put_u128(resume.incarnation);
        for (_, place) in resume.places.iter() {
            value.put_u64(place.position.0);
            value.put_slice(&place.digest.unwrap_or_default().0);
        }
        self.put(RESUME, &[], value.freeze())
    }

    pub(super) fn put_asked(&self, want: &Want) -> Write {
        self.put(ASKED, &want.encode(), Bytes::new())
    }

    pub(super) fn put_unsure(&self, want: &Want) -> Write {
        self.put(ASKED, &want.encode(), Bytes::from_static(UNSURE))
    }

    pub(super) fn delete_asked(&self, want: &Want) -> Write {
        self.delete(ASKED, &want.encode())
    }

    pub(super) fn put_refetch(&self, want: &Want) -> Write {
        self.put(REFETCH, &want.encode(), Bytes::new())
    }

    pub(super) fn delete_refetch(&self, want: &Want) -> Write {
        self.delete(REFETCH, &want.encode())
    }

    pub(super) fn delete_catalog(&self) -> Write {
        self.delete(CATALOG, &[])
    }

    pub(super) fn put_catalog(&self) -> Write {
        self.put(CATALOG, &[], Bytes::new())
    }

    pub(super) fn put_fallen_back(&self) -> Write {
        self.put(FALLEN_BACK, &[], Bytes::new())
    }

    pub(super) fn put_realm(&self) -> Write {
        let foreign = self.config.realm == Realm::Foreign;
        self.put(REALM, &[], Bytes::copy_from_slice(&[u8::from(foreign)]))
    }

    pub(super) fn put_told(&self) -> Write {
        self.put(TOLD, &[], Bytes::new())
    }

    pub(super) fn delete_told(&self) -> Write {
        self.delete(TOLD, &[])
    }

    pub(super) fn put_assigned(&self, assigned: Assigned) -> Write {
        let mut value = BytesMut::with_capacity(32);
        value.put_u128(assigned.client.0);
        value.put_u128(assigned.incarnation);
        self.put(ASSIGNED, &[], value.freeze())
    }

    pub(super) fn delete_assigned(&self) -> Write {
        self.delete(ASSIGNED, &[])
    }

    pub(crate) fn put_gone(&self, gone: &Gone) -> Write {
        let mut value = BytesMut::with_capacity(8 + 32 * gone.route.len());
        value.put_u64(gone.contact.0);
        for (server, client) in &gone.route {
            value.put_u128(server.0);
            value.put_u128(client.0);
        }
        self.put(GONE, &gone.name().0.to_be_bytes(), value.freeze())
    }

    pub(crate) fn delete_gone(&self, name: ClientGuid) -> Write {
        self.delete(GONE, &name.0.to_be_bytes())
    }

    /// Everything that counts on what the upstream is believed to have: it is to be asked for anew.
    pub(super) fn delete_held(&self) -> Vec<Write> {
        let asked = self.asked.union(&self.unsure).map(|want| self.delete_asked(want));
        asked.chain([self.delete(RESUME, &[]), self.delete_catalog()]).collect()
    }

    /// Everything.
    pub(crate) fn delete_all(&self) -> Vec<Write> {
        let gone = self.reports.gone().map(|client| self.delete_gone(client));
        let refetch = self.refetch.iter().map(|want| self.delete_refetch(want));
        let rest = [FALLEN_BACK, TOLD, ASSIGNED, REALM].map(|kind| self.delete(kind, &[]));
        self.delete_held().into_iter().chain(rest).chain(gone).chain(refetch).collect()
    }

    /// Forgets what was asked for while the upstream was of another realm: its names must not be said there now.
    pub(crate) fn forget_other_realm(&mut self, writes: &mut Vec<Write>) {
        if self.other_realm {
            writes.extend(self.delete_all());
            *self = Self::new(self.config.clone(), self.entropy);
        }
    }

    /// Takes a row as the store holds it.
    pub(crate) fn recover(&mut self, key: &[u8], value: &[u8]) -> Result<(), Damaged> {
        let damaged = |reason: &str| Damaged { what: "uplink", reason: reason.to_owned() };
        let (kind, rest) = key.get(16..).and_then(<[u8]>::split_first).ok_or_else(|| damaged("a key without kind"))?;
        match *kind {
            RESUME => self.resume = Some(resume_of(value).ok_or_else(|| damaged("a position of another length"))?),
            CATALOG => self.has_catalog = true,
            FALLEN_BACK => self.ask = Ask::Elements,
            ASKED if value == UNSURE => _ = self.unsure.insert(want_of(rest)?),
            ASKED => _ = self.asked.insert(want_of(rest)?),
            TOLD => self.reports.set_told(true),
            ASSIGNED => {
                let assigned = assigned_of(value).ok_or_else(|| damaged("a name of another length"))?;
                self.assigned = Some(assigned);
            }
            GONE => {
                self.reports.set_gone(gone_of(value).ok_or_else(|| damaged("a way of another length"))?);
            }
            REFETCH => _ = self.refetch.insert(want_of(rest)?),
            REALM => self.other_realm = value != [u8::from(self.config.realm == Realm::Foreign)],
            _ => return Err(damaged("a key of an unknown kind")),
        }
        Ok(())
    }
}

fn assigned_of(value: &[u8]) -> Option<Assigned> {
    let ([client, incarnation], []) = value.as_chunks::<16>() else { return None };
    let client = ClientGuid(u128::from_be_bytes(*client));
    Some(Assigned { client, incarnation: u128::from_be_bytes(*incarnation) })
}

fn gone_of(value: &[u8]) -> Option<Gone> {
    let (contact, hops) = value.split_first_chunk::<8>()?;
    let (hops, rest) = hops.as_chunks::<32>();
    let hop = |hop: &[u8; 32]| {
        let (server, client) = hop.split_first_chunk::<16>()?;
        let client = client.first_chunk::<16>()?;
        Some((ServerGuid(u128::from_be_bytes(*server)), ClientGuid(u128::from_be_bytes(*client))))
    };
    let route = hops.iter().map(hop).collect::<Option<_>>()?;
    rest.is_empty().then_some(Gone { route, contact: Time(u64::from_be_bytes(*contact)) })
}

fn want_of(bytes: &[u8]) -> Result<Want, Damaged> {
    Want::decode(bytes).map_err(|error| Damaged { what: "uplink", reason: error.to_string() })
}

fn resume_of(value: &[u8]) -> Option<Resume> {
    let (incarnation, rest) = value.split_first_chunk::<16>()?;
    let (places, []) = rest.as_chunks::<40>() else { return None };
    let place = |bytes: &[u8; 40]| {
        let (position, digest) = bytes.split_first_chunk::<8>()?;
        let digest = Digest(digest.try_into().ok()?);
        let position = Position(u64::from_be_bytes(*position));
        Some(Place { position, digest: Some(digest).filter(|digest| *digest != Digest::default()) })
    };
    let places: Vec<Place> = places.iter().map(place).collect::<Option<_>>()?;
    let places = PerClass::of(places.try_into().ok()?);
    Some(Resume { incarnation: u128::from_be_bytes(*incarnation), places })
}
