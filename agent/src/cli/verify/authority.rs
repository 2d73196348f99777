//! Whether those who signed may say what they say, by a trust file.

use node::ids::Time;
use node::intake::{Hop, Intake, Item};
use node::trust::{Trust, Verdict};
use schemas::facts::Validated;
use schemas::shown::shown;

/// What an item of a document is under a trust file; none for a part that is no item.
pub(super) struct Judged(Option<(String, Verdict)>);

/// Each part of a document.
pub(super) fn judge(document: &Validated, trust: &Trust, now: Time) -> Vec<Judged> {
    let judged = |(_, item): (&Hop, &Item)| {
        let identity = item.subject.identity.as_ref();
        let id = identity.map_or_else(|| item.digest.to_string(), |identity| identity.id.clone());
        (id, trust.judge(item.signing.as_deref(), now))
    };
    let intake = Intake::of(document);
    let parts = intake.iter().flat_map(Intake::items);
    parts.map(|part| Judged(part.map(judged))).collect()
}

impl Judged {
    pub(super) fn is_authorised(&self) -> bool {
        matches!(&self.0, Some((_, Verdict::Authorised(_))))
    }

    pub(super) fn text(&self) -> String {
        match &self.0 {
            Some((id, Verdict::Authorised(name))) => format!("{}: authorised, by {}", shown(id), shown(name)),
            Some((id, verdict)) => format!("{}: not authorised: {}", shown(id), shown(&reason(verdict))),
            None => "not authorised: a part that delivers nothing, or cannot be read".to_owned(),
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let (id, verdict) = self.0.as_ref().map_or((None, None), |(id, verdict)| (Some(id), Some(verdict)));
        let signer = match verdict {
            Some(Verdict::Authorised(name)) => Some(name.to_string()),
            _ => None,
        };
        serde_json::json!({
            "item": id,
            "authorised": self.is_authorised(),
            "signer": signer,
            "reason": verdict.filter(|_| !self.is_authorised()).map(reason),
        })
    }
}

/// Why an item is not authorised.
fn reason(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Refused(reason) => reason.to_string(),
        Verdict::Unsigned | Verdict::Unchecked | Verdict::Authorised(_) => "it is not signed".to_owned(),
    }
}
