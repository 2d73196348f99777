//! Who has signed an item, behind the rest of its record. A record without it is of an item without a signature, or of
//! a time before signatures were looked at.

use bytes::{Bytes, BytesMut};
use schemas::signature::{Issuer, KeyId};

use super::{Damaged, decode, encode};
use crate::trust::{Claims, SignedBy, Signing};

/// Ends a record that says who has signed. The archive of an item ends with flags and padding: never so.
const MARK: &[u8; 8] = b"signing3";

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct SigningRow {
    by: Vec<SignedByRow>,
    sources: Vec<String>,
    companies: Vec<String>,
    products: Vec<String>,
    names_nobody: bool,
    names_no_product: bool,
    flaw: Option<String>,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct SignedByRow {
    key: [u8; 32],
    /// Key, first and last second, how many stand between.
    issuers: Vec<([u8; 32], u64, u64, u32)>,
}

/// The record, the archive behind it, its length in four bytes, the mark.
pub(super) fn append(record: &[u8], signing: &Signing) -> Bytes {
    let row = encode(&SigningRow::of(signing));
    let mut bytes = BytesMut::with_capacity(record.len() + row.len() + 4 + MARK.len());
    bytes.extend_from_slice(record);
    bytes.extend_from_slice(&row);
    bytes.extend_from_slice(&u32::try_from(row.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(MARK);
    bytes.freeze()
}

/// The record without what was appended, and that.
pub(super) fn split(bytes: &[u8]) -> Result<(&[u8], Option<Signing>), Damaged> {
    let Some(rest) = bytes.strip_suffix(MARK) else { return Ok((bytes, None)) };
    let (record, row) = cut(rest)?;
    Ok((record, Some(decode::<SigningRow>("signing", row)?.into())))
}

/// The record, and the archive, which says behind itself how long it is.
fn cut(bytes: &[u8]) -> Result<(&[u8], &[u8]), Damaged> {
    let damaged = || Damaged { what: "signing", reason: "shorter than it says".into() };
    let (rest, length) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    let at = rest.len().checked_sub(u32::from_be_bytes(*length) as usize).ok_or_else(damaged)?;
    Ok(rest.split_at(at))
}

impl SigningRow {
    fn of(signing: &Signing) -> Self {
        let issuers =
            |by: &SignedBy| by.issuers.iter().map(|one| (one.key.0, one.from, one.until, one.between)).collect();
        let Claims { sources, companies, products, names_nobody, names_no_product } = &signing.claims;
        let list = |names: &std::collections::BTreeSet<String>| names.iter().cloned().collect();
        Self {
            by: signing.by.iter().map(|by| SignedByRow { key: by.key.0, issuers: issuers(by) }).collect(),
            sources: list(sources),
            companies: list(companies),
            products: list(products),
            names_nobody: *names_nobody,
            names_no_product: *names_no_product,
            flaw: signing.flaw.clone(),
        }
    }
}

impl From<SigningRow> for Signing {
    fn from(row: SigningRow) -> Self {
        let issuer = |(key, from, until, between)| Issuer { key: KeyId(key), from, until, between };
        let by =
            |by: SignedByRow| SignedBy { key: KeyId(by.key), issuers: by.issuers.into_iter().map(issuer).collect() };
        Self {
            by: row.by.into_iter().map(by).collect(),
            claims: Claims {
                sources: row.sources.into_iter().collect(),
                companies: row.companies.into_iter().collect(),
                products: row.products.into_iter().collect(),
                names_nobody: row.names_nobody,
                names_no_product: row.names_no_product,
            },
            flaw: row.flaw,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signing() -> Signing {
        let issuer = |between| Issuer { key: KeyId([2; 32]), from: 1, until: u64::MAX, between };
        Signing {
            by: vec![SignedBy { key: KeyId([1; 32]), issuers: vec![issuer(0), issuer(1)] }],
            claims: Claims { sources: ["RustSec".to_owned()].into(), names_no_product: true, ..Claims::default() },
            flaw: Some("none".into()),
        }
    }

    #[test]
    fn a_record_says_who_has_signed_and_one_without_says_nobody() {
        let record = b"a record of whatever bytes";
        let appended = append(record, &signing());
        assert_eq!(split(&appended), Ok((&record[..], Some(signing()))));
        assert_eq!(split(record), Ok((&record[..], None)));
    }

    #[test]
    fn a_damaged_one_is_said_to_be() {
        let appended = append(b"", &signing());
        for cut in 1..appended.len() {
            assert!(split(&appended[cut..]).is_err() || appended.len() - cut < MARK.len(), "{cut}");
        }
        assert!(split(b"\xff\xff\xff\xffsigning3").is_err());
    }
}
