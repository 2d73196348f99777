//! Clause 8.3: signatures, their canonical forms, and what must not pass for signed.

mod canonical;
mod documents;
mod flips;
mod hostile;
mod library;
mod oracle;
mod refusals;
mod seeds;
mod signing;
mod vectors;
mod wrapping;
