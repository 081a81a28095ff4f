//! What a licence says: a small JSON object in which every field must be there
//! and no other may. The appliance has verified who signed it; here it is read,
//! and whatever the bytes are, reading ends with a licence or a reason.

use serde::{Deserialize, Deserializer};

/// Longest payload, bytes.
pub const LEN_MAX: usize = 4_096;
/// The format that this version reads.
pub const FORMAT: u32 = 1;
/// The product that this version is.
pub const PRODUCT: &str = "evenkeel";
/// Longest text in a licence, in characters.
const TEXT_MAX: usize = 80;

/// A licence.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    /// Version of this format.
    pub format: u32,
    /// What it is for.
    pub product: String,
    /// Serial number of the appliance.
    pub serial: String,
    /// Name of the edition, for people.
    pub edition: String,
    /// Blocks; `None`: no limit.
    #[serde(deserialize_with = "nullable")]
    pub blocks: Option<u32>,
    /// Largest UPS, VA; `None`: no limit.
    #[serde(deserialize_with = "nullable")]
    pub ups_va: Option<u32>,
    /// First second in which it is valid, since 1970.
    pub not_before: u64,
    /// Last second in which it is valid; `None`: for ever.
    #[serde(deserialize_with = "nullable")]
    pub not_after: Option<u64>,
    /// Who bought it.
    pub customer: String,
    /// Its number at the vendor.
    pub id: String,
}

/// `null` is a value that must be written; leaving the field out is an error.
fn nullable<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(from)
}

impl Licence {
    /// Read a payload.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn parse(payload: &[u8]) -> Result<Self, String> {
        if payload.len() > LEN_MAX {
            return Err(format!("it has {} bytes, at most {LEN_MAX} are read", payload.len()));
        }
        let licence: Self = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
        let texts = [
            ("product", &licence.product),
            ("serial", &licence.serial),
            ("edition", &licence.edition),
            ("customer", &licence.customer),
            ("id", &licence.id),
        ];
        for (field, text) in texts {
            let count = text.chars().count();
            if count == 0 || count > TEXT_MAX || text.chars().any(char::is_control) {
                return Err(format!("{field} must be 1 to {TEXT_MAX} visible characters"));
            }
        }
        Ok(licence)
    }
}
