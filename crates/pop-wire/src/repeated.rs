//! Repeated fields, counted before prost allocates for them: two bytes on the wire become a few
//! words in memory, so a count that is checked after parsing is checked too late.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::WireError;

/// The entries of the repeated message or bytes field `tag` of a protobuf `message`, as slices.
/// Ends before bytes that are not protobuf, which prost refuses later.
pub(crate) fn entries(mut message: &[u8], tag: u32) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        while !message.is_empty() {
            let (found, wire_type) = decode_key(&mut message).ok()?;
            if found != tag || wire_type != WireType::LengthDelimited {
                skip_field(wire_type, found, &mut message, DecodeContext::default()).ok()?;
                continue;
            }
            let length = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
            let (entry, rest) = message.split_at_checked(length)?;
            message = rest;
            return Some(entry);
        }
        None
    })
}

/// Refuse a field with more than `max` entries.
pub(crate) fn check_count<'a>(
    field: &'static str,
    entries: impl Iterator<Item = &'a [u8]>,
    max: usize,
) -> Result<(), WireError> {
    let got = entries.count();
    if got > max { Err(WireError::TooMany { field, max, got }) } else { Ok(()) }
}
