//! The text of a keystore.
//!
//! Fields are taken one by one, so that an error names the one at fault; unknown ones are passed
//! over. Errors of `serde_json` quote the text they stumble over, which would be the secret if
//! somebody gave the wrong file: only the place is reported.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use pop_wire::WalletAddress;
use serde_json::Value;

use super::{Keystore, KeystoreError};
use crate::wallet::ScryptParameters;
use crate::wallet::kdf::{Kdf, within};
use crate::wallet::limits::{
    DERIVED_KEY_BYTES_MAX, DERIVED_KEY_BYTES_MIN, KEYSTORE_BYTES_MAX, SALT_BYTES_MAX,
};

/// Characters of the file that an error repeats.
const QUOTED_CHARACTERS_MAX: usize = 32;

pub(super) fn read(text: &[u8]) -> Result<Keystore, KeystoreError> {
    if text.len() > KEYSTORE_BYTES_MAX {
        return Err(KeystoreError::Length { max: KEYSTORE_BYTES_MAX, got: text.len() });
    }
    let file: Value = serde_json::from_slice(text)
        .map_err(|error| KeystoreError::NotJson { line: error.line(), column: error.column() })?;
    // Version 1 wrote it as a string.
    match file.get("version") {
        Some(Value::Number(version)) if version.as_u64() == Some(3) => {}
        Some(Value::Number(version)) => {
            return Err(unsupported("version", "version 3", &version.to_string()));
        }
        Some(Value::String(version)) => {
            return Err(unsupported("version", "version 3", version));
        }
        _ => return Err(KeystoreError::Field { field: "version", expected: "a number" }),
    }
    let crypto = file
        .get("crypto")
        // As several older programs spell it.
        .or_else(|| file.get("Crypto"))
        .filter(|crypto| crypto.is_object())
        .ok_or(KeystoreError::Field { field: "crypto", expected: "an object" })?;

    one_of(crypto, "crypto.cipher", "aes-128-ctr")?;
    let (kdf, salt) = read_kdf(crypto)?;
    Ok(Keystore {
        address: read_address(&file)?,
        id: file.get("id").and_then(Value::as_str).and_then(read_uuid),
        kdf,
        salt,
        iv: bytes(
            inner(crypto, "cipherparams"),
            "crypto.cipherparams.iv",
            16,
            16,
            "32 hex digits",
        )?
        .try_into()
        .expect("16 bytes were asked for"),
        ciphertext: bytes(crypto, "crypto.ciphertext", 1, 32, "2 to 64 hex digits")?,
        mac: bytes(crypto, "crypto.mac", 32, 32, "64 hex digits")?
            .try_into()
            .expect("32 bytes were asked for"),
    })
}

fn read_kdf(crypto: &Value) -> Result<(Kdf, Vec<u8>), KeystoreError> {
    let parameters = inner(crypto, "kdfparams");
    let kdf = match string(crypto, "crypto.kdf")? {
        "scrypt" => Kdf::Scrypt(ScryptParameters::new(
            number(parameters, "crypto.kdfparams.n")?,
            number(parameters, "crypto.kdfparams.r")?,
            number(parameters, "crypto.kdfparams.p")?,
        )?),
        "pbkdf2" => {
            one_of(parameters, "crypto.kdfparams.prf", "hmac-sha256")?;
            Kdf::pbkdf2(number(parameters, "crypto.kdfparams.c")?)?
        }
        other => return Err(unsupported("crypto.kdf", "scrypt and pbkdf2", other)),
    };
    let length = "crypto.kdfparams.dklen";
    within(length, number(parameters, length)?, DERIVED_KEY_BYTES_MIN, DERIVED_KEY_BYTES_MAX)?;
    let salt =
        bytes(parameters, "crypto.kdfparams.salt", 1, SALT_BYTES_MAX, "2 to 128 hex digits")?;
    Ok((kdf, salt))
}

/// With or without `0x`; some programs leave it out or empty, for privacy.
fn read_address(file: &Value) -> Result<Option<WalletAddress>, KeystoreError> {
    match file.get("address") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(value) => value
            .as_str()
            .map(|text| text.strip_prefix("0x").unwrap_or(text))
            .and_then(|digits| format!("0x{digits}").parse().ok())
            .map(Some)
            .ok_or(KeystoreError::Field { field: "address", expected: "40 hex digits" }),
    }
}

fn read_uuid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    if !groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) {
        return None;
    }
    HEXLOWER_PERMISSIVE.decode(groups.concat().as_bytes()).ok()?.try_into().ok()
}

pub(super) fn write(keystore: &Keystore) -> String {
    let (kdf, parameters) = match keystore.kdf {
        Kdf::Scrypt(scrypt) => (
            "scrypt",
            format!(r#""dklen":32,"n":{},"p":{},"r":{}"#, scrypt.n(), scrypt.p(), scrypt.r()),
        ),
        Kdf::Pbkdf2 { iterations } => {
            ("pbkdf2", format!(r#""c":{iterations},"dklen":32,"prf":"hmac-sha256""#))
        }
    };
    // The form has no checksum of its own in the address: geth writes lower case without 0x.
    let address = keystore
        .address
        .map(|address| format!(r#""address":"{}","#, HEXLOWER.encode(&address.0)))
        .unwrap_or_default();
    let id = keystore
        .id
        .map(|id| {
            let digits = HEXLOWER.encode(&id);
            let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
            format!(r#""id":"{a}-{b}-{c}-{d}-{e}","#)
        })
        .unwrap_or_default();
    format!(
        r#"{{{address}"crypto":{{"cipher":"aes-128-ctr","ciphertext":"{}","cipherparams":{{"iv":"{}"}},"kdf":"{kdf}","kdfparams":{{{parameters},"salt":"{}"}},"mac":"{}"}},{id}"version":3}}"#,
        HEXLOWER.encode(&keystore.ciphertext),
        HEXLOWER.encode(&keystore.iv),
        HEXLOWER.encode(&keystore.salt),
        HEXLOWER.encode(&keystore.mac),
    )
}

fn unsupported(field: &'static str, expected: &'static str, got: &str) -> KeystoreError {
    let got = got.chars().take(QUOTED_CHARACTERS_MAX).collect();
    KeystoreError::Unsupported { field, expected, got }
}

fn inner<'a>(object: &'a Value, key: &str) -> &'a Value {
    object.get(key).unwrap_or(&Value::Null)
}

/// The member that a field's path ends in.
fn member<'a>(object: &'a Value, field: &'static str) -> &'a Value {
    let (_, key) = field.rsplit_once('.').expect("fields inside are named by their path");
    inner(object, key)
}

fn string<'a>(object: &'a Value, field: &'static str) -> Result<&'a str, KeystoreError> {
    member(object, field).as_str().ok_or(KeystoreError::Field { field, expected: "a string" })
}

fn number(object: &Value, field: &'static str) -> Result<u64, KeystoreError> {
    member(object, field)
        .as_u64()
        .ok_or(KeystoreError::Field { field, expected: "a whole number from 0 to 2^64 - 1" })
}

fn one_of(
    object: &Value,
    field: &'static str,
    expected: &'static str,
) -> Result<(), KeystoreError> {
    let got = string(object, field)?;
    if got == expected { Ok(()) } else { Err(unsupported(field, expected, got)) }
}

fn bytes(
    object: &Value,
    field: &'static str,
    min: usize,
    max: usize,
    expected: &'static str,
) -> Result<Vec<u8>, KeystoreError> {
    HEXLOWER_PERMISSIVE
        .decode(string(object, field)?.as_bytes())
        .ok()
        .filter(|bytes| (min..=max).contains(&bytes.len()))
        .ok_or(KeystoreError::Field { field, expected })
}
