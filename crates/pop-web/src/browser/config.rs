//! The engine's settings, out of the object that the page gives.

use bytes::Bytes;
use js_sys::{Array, Uint8Array};
use pop_wire::{Amount, ContentId, WalletAddress};
use wasm_bindgen::{JsCast as _, JsError, JsValue};

use super::object::{bytes_field, field, list_field, number_field};
use crate::engine::{Address, CacheKey, EngineConfig, Ledger, Upload};

/// Read the settings. Addresses that no browser can dial are left out; everything else that is
/// wrong is refused.
pub(super) fn read(options: &JsValue) -> Result<EngineConfig, JsError> {
    let secret = key(options, "secret")?;
    let mut config = EngineConfig::new(secret, key(options, "seed")?);
    config.entries = addresses(options, "entries");
    config.ledger_addresses = addresses(options, "ledgerAddresses");
    config.secure_page = field(options, "securePage").is_truthy();
    config.webrtc = field(options, "webrtc").is_truthy();
    if let Some(bytes) = number_field(options, "windowBytes") {
        config.window_bytes = bytes;
    }
    if let Some(bytes) = number_field(options, "cacheBytesMax") {
        config.cache_bytes_max = bytes;
    }
    config.upload = upload(&field(options, "upload"));
    config.price_max = amount(options, "priceMax")?;
    config.price = amount(options, "price")?;
    config.ledger = ledger(&field(options, "ledger"))?;
    let records = list_field(options, "records").into_iter();
    config.records = records.filter_map(|it| record(&it)).collect();
    let cached = list_field(options, "cached").into_iter();
    config.cached = cached.filter_map(|it| cached_segment(&it)).collect();
    Ok(config)
}

/// Consent to re-streaming: `{ on, bytesPerSecondMax, bytesMax }`.
pub(super) fn upload(object: &JsValue) -> Upload {
    Upload {
        is_on: field(object, "on").is_truthy(),
        bytes_per_s_max: number_field(object, "bytesPerSecondMax").unwrap_or(u64::MAX),
        bytes_max: number_field(object, "bytesMax").unwrap_or(u64::MAX),
    }
}

/// The name of an entry of the cache, as a file name.
pub(super) fn cache_name(key: &CacheKey) -> String {
    format!("{}.{}", key.content, key.segment)
}

fn cache_key(name: &str) -> Option<CacheKey> {
    let (content, segment) = name.split_once('.')?;
    let content: ContentId = content.parse().ok()?;
    Some(CacheKey { content, segment: segment.parse().ok()? })
}

/// Those that a browser can dial.
fn addresses(options: &JsValue, name: &str) -> Vec<Address> {
    let texts = list_field(options, name).into_iter().filter_map(|it| it.as_string());
    texts.filter_map(|it| it.parse().ok()).collect()
}

fn key(options: &JsValue, name: &str) -> Result<[u8; 32], JsError> {
    bytes_field(options, name)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| JsError::new(&format!("{name}: expected 32 bytes")))
}

fn amount(options: &JsValue, name: &str) -> Result<Amount, JsError> {
    match field(options, name).as_string() {
        Some(text) => text.parse().map_err(|_| JsError::new(&format!("{name}: not an amount"))),
        None => Ok(Amount::ZERO),
    }
}

fn ledger(object: &JsValue) -> Result<Option<Ledger>, JsError> {
    let (Some(chain_id), Some(contract)) =
        (number_field(object, "chainId"), field(object, "contract").as_string())
    else {
        return Ok(None);
    };
    let contract: WalletAddress =
        contract.parse().map_err(|_| JsError::new("ledger: not a contract address"))?;
    Ok(Some(Ledger { chain_id, contract }))
}

fn pair(entry: &JsValue) -> Option<(JsValue, JsValue)> {
    let entry = entry.dyn_ref::<Array>()?;
    Some((entry.get(0), entry.get(1)))
}

fn record(entry: &JsValue) -> Option<(Bytes, Bytes)> {
    let (key, value) = pair(entry)?;
    let bytes = |it: JsValue| it.dyn_ref::<Uint8Array>().map(|it| Bytes::from(it.to_vec()));
    Some((bytes(key)?, bytes(value)?))
}

fn cached_segment(entry: &JsValue) -> Option<(CacheKey, u64)> {
    let (name, bytes) = pair(entry)?;
    Some((cache_key(&name.as_string()?)?, super::object::integer(bytes.as_f64()?)))
}
