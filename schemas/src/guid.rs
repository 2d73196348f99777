//! 128-bit values: one newtype for each meaning, none convertible into another (clause 10.1.2, S16).

use std::fmt;

use uuid::Uuid;

/// Why a text is no 128-bit value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a 128-bit value: {0:?} (write #h and 1 to 32 hex digits, or a UUID)")]
pub struct NotA128BitValue(pub String);

/// Parses `#h` notation, UUID text in any case, `urn:uuid:`, braces; blanks outside are trimmed.
pub fn parse_128(text: &str) -> Result<u128, NotA128BitValue> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let fault = || NotA128BitValue(text.chars().take(64).collect());
    if let Some(digits) = text.strip_prefix("#h").or_else(|| text.strip_prefix("#H")) {
        let hex = (1..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        return if hex { u128::from_str_radix(digits, 16).map_err(|_| fault()) } else { Err(fault()) };
    }
    // The `uuid` crate also takes 32 bare digits, which S16 does not list.
    let hyphens = text.bytes().filter(|byte| *byte == b'-').count();
    if hyphens != 4 {
        return Err(fault());
    }
    Uuid::parse_str(text).map(|uuid| uuid.as_u128()).map_err(|_| fault())
}

macro_rules! value_128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl $name {
            /// Reads any accepted notation.
            pub fn parse(text: &str) -> Result<Self, NotA128BitValue> {
                parse_128(text).map(Self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotA128BitValue;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

macro_rules! as_uuid {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Uuid::from_u128(self.0).hyphenated().fmt(f)
            }
        }
    };
}

value_128!(
    /// Names the server of a hop (10.1.2).
    ServerGuid
);
value_128!(
    /// Names the client of a hop (10.1.2).
    ClientGuid
);
value_128!(
    /// Identifies one message; replies repeat it (10.1.2).
    MessageId
);
value_128!(
    /// Names an implementing module (10.1.4).
    ModuleUuid
);
value_128!(
    /// Names a function: the message set (10.1.4).
    Cid
);
value_128!(
    /// Names the protocol (10.1.2).
    Pid
);
as_uuid!(ServerGuid);
as_uuid!(ClientGuid);
as_uuid!(MessageId);
as_uuid!(ModuleUuid);

impl Cid {
    /// The version message set (10.2.1).
    pub const VERSION: Self = Self(2);
}

impl fmt::Display for Cid {
    /// `#h02` exactly for the version set (S16), a UUID else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 <= 0xff { write!(f, "#h{:02x}", self.0) } else { Uuid::from_u128(self.0).hyphenated().fmt(f) }
    }
}

impl Pid {
    /// This Recommendation (10.1.2).
    pub const X1206: Self = Self(1);
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 <= 0xffff_ffff { write!(f, "#h{:08x}", self.0) } else { Uuid::from_u128(self.0).hyphenated().fmt(f) }
    }
}

impl ModuleUuid {
    /// The module that answers and emits version messages in this program.
    pub const DISTRIBUTARY: Self = Self(0x6b1d_3f52_9a7e_4c08_8f21_d15c_0b5e_7a01);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_notation_of_one_value_is_equal() {
        let value = ClientGuid(0x5f0c7a526a3e4d0b9a550d1f6f7b2c21);
        for text in [
            "5f0c7a52-6a3e-4d0b-9a55-0d1f6f7b2c21",
            "5F0C7A52-6A3E-4D0B-9A55-0D1F6F7B2C21",
            "#h5f0c7a526a3e4d0b9a550d1f6f7b2c21",
            "#H5F0C7A526A3E4D0B9A550D1F6F7B2C21",
            "urn:uuid:5f0c7a52-6a3e-4d0b-9a55-0d1f6f7b2c21",
            "{5f0c7a52-6a3e-4d0b-9a55-0d1f6f7b2c21}",
            " 5f0c7a52-6a3e-4d0b-9a55-0d1f6f7b2c21\n",
        ] {
            assert_eq!(ClientGuid::parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn short_hash_values_are_padded_on_the_left() {
        assert_eq!(Pid::parse("#h1"), Ok(Pid::X1206));
        assert_eq!(Pid::parse("#h00000001"), Ok(Pid::X1206));
        assert_eq!(Pid::parse("00000000-0000-0000-0000-000000000001"), Ok(Pid::X1206));
        assert_eq!(Pid::X1206.to_string(), "#h00000001");
        assert_eq!(Cid::VERSION.to_string(), "#h02");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "#h",
            "#hg",
            "#h0123456789abcdef0123456789abcdef0",
            "02",
            "5f0c7a526a3e4d0b9a550d1f6f7b2c21",
            "x-1-2-3-4",
        ] {
            assert!(parse_128(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        // R-9.3-5: a GUID is a 16-byte value, read in every text form and written in one.
        #[test]
        fn c9_3_guids_parse_what_they_print_in_every_form(value: u128, zeros in 0_usize..8, upper: bool) {
            let uuid = ClientGuid(value).to_string();
            proptest::prop_assert_eq!(&uuid, &uuid.to_ascii_lowercase());
            let digits = format!("{value:x}");
            let padded = format!("{}{digits}", "0".repeat(zeros.min(32 - digits.len())));
            for text in [uuid.clone(), format!("urn:uuid:{uuid}"), format!("{{{uuid}}}"), format!(" #h{padded}\t")] {
                let text = if upper && !text.starts_with("urn") { text.to_ascii_uppercase() } else { text };
                proptest::prop_assert_eq!(ClientGuid::parse(&text), Ok(ClientGuid(value)));
            }
        }
    }
}
