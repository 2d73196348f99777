//! What to do about a signature that proves nothing.

use schemas::signature::Refusal;

/// The next step. `docs/signatures.md` has the same for each code.
pub(super) fn next_step(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::DigestMismatch => {
            "the signed element was changed after signing: get the document again from who signed it, unchanged"
        }
        Refusal::SignatureMismatch => {
            "what is signed or its key was changed: get the document and the key again from who signed it"
        }
        Refusal::KeyUnknown(_) => "give the signer's public key with --key",
        Refusal::KeyMissing => "the signer must put KeyInfo in; without it nobody knows which key to try",
        Refusal::KeyInfo(_) | Refusal::KeyMethod => "the signer must give one key, of the signature method's kind",
        Refusal::KeyUnsupported => "the signer needs an RSA, P-256, P-384 or Ed25519 key",
        Refusal::KeySize(_) => "the signer needs an RSA key of 2048 to 8192 bits, or better an Ed25519 key",
        Refusal::SignatureMethod(_) | Refusal::DigestMethod(_) => {
            "the signer must use SHA-256, SHA-384 or SHA-512 with RSA, ECDSA or Ed25519; SHA-1 proves nothing any more"
        }
        Refusal::CanonicalizationMethod(_) | Refusal::Transform(_) => {
            "the signer must use enveloped-signature and one canonicalisation without comments, and nothing else"
        }
        Refusal::ReferenceCount(_) | Refusal::ReferenceUri(_) => {
            "the signer must sign the element that holds the Signature, by one Reference with URI=\"\""
        }
        Refusal::ValuePrefix => "the signer must list the prefixes of xsi:type in InclusiveNamespaces",
        Refusal::XmlAttribute => "the signer must use exclusive canonicalisation, or take xml: attributes away",
        Refusal::Object => "the signer must leave Object out: nobody here reads it",
        Refusal::Markup | Refusal::Structure(_) | Refusal::Base64(_) | Refusal::Size(_) => {
            "the signer must write the Signature as the profile says (docs/signatures.md)"
        }
        Refusal::Place => "a Signature must stand inside the element that it signs",
        Refusal::RelativeNamespace => "the author must write absolute namespace names",
        Refusal::Limit { .. } => "sign fewer elements of one document, or send it in parts",
        Refusal::DocType | Refusal::NotWellFormed(_) => "the author must write the document anew",
    }
}
