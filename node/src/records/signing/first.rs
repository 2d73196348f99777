//! Records of the mark `signing1`: they do not say whether a part names no product, nor how many authorities stand between.

use schemas::signature::{Issuer, KeyId};

use crate::trust::{Claims, SignedBy, Signing};

pub(super) const MARK: &[u8; 8] = b"signing1";

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct SigningRow {
    pub(super) by: Vec<SignedByRow>,
    pub(super) sources: Vec<String>,
    pub(super) companies: Vec<String>,
    pub(super) products: Vec<String>,
    pub(super) names_nobody: bool,
    pub(super) flaw: Option<String>,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct SignedByRow {
    pub(super) key: [u8; 32],
    /// Key, first and last second; the nearest first.
    pub(super) issuers: Vec<([u8; 32], u64, u64)>,
}

impl From<SigningRow> for Signing {
    fn from(row: SigningRow) -> Self {
        let by = |by: SignedByRow| {
            // Of a whole chain each authority stands above all before it.
            let numbered = (0..).zip(by.issuers);
            let issuers =
                numbered.map(|(between, (key, from, until))| Issuer { key: KeyId(key), from, until, between });
            SignedBy { key: KeyId(by.key), issuers: issuers.collect() }
        };
        Self {
            by: row.by.into_iter().map(by).collect(),
            claims: Claims {
                // That none of several names one is certain; that each of them does is taken for granted, as it was then.
                names_no_product: row.products.is_empty(),
                sources: row.sources.into_iter().collect(),
                companies: row.companies.into_iter().collect(),
                products: row.products.into_iter().collect(),
                names_nobody: row.names_nobody,
            },
            flaw: row.flaw,
        }
    }
}
