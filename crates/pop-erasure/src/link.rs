//! What a viewer is given: [`ContentLink`].

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD_NOCASE;
use pop_wire::ContentId;
use zeroize::Zeroizing;

use crate::error::LinkError;
use crate::key::ContentKey;
use crate::limits::LINK_CHARS_MAX;

const SCHEME: &str = "pop:";
const KEY_PARAMETER: &str = "?k=";
/// Characters of 32 bytes in base32.
const ENCODED_CHARS: usize = 52;

/// `pop:<content id>?k=<key>`: which content, and the key that opens it.
///
/// Without the key a link names the content and is enough to repair it. `Display` writes the key,
/// which is the link's purpose; `Debug` does not.
///
/// ```
/// use pop_erasure::ContentLink;
///
/// let text = format!("pop:{}?k={}", "a".repeat(52), "a".repeat(52));
/// let link: ContentLink = text.parse()?;
/// assert!(link.key.is_some());
/// assert_eq!(link.to_string(), text);
/// # Ok::<(), pop_erasure::LinkError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ContentLink {
    /// Which content.
    pub content: ContentId,
    /// What opens it; absent in a link that is given to somebody who only repairs.
    pub key: Option<ContentKey>,
}

impl fmt::Display for ContentLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SCHEME}{}", self.content)?;
        if let Some(key) = &self.key {
            let text = Zeroizing::new(BASE32_NOPAD_NOCASE.encode(key.expose_secret()));
            formatter.write_str(KEY_PARAMETER)?;
            formatter.write_str(&Zeroizing::new(text.to_ascii_lowercase()))?;
        }
        Ok(())
    }
}

impl FromStr for ContentLink {
    type Err = LinkError;

    /// Case of the two base32 parts does not matter; everything else is exact.
    fn from_str(text: &str) -> Result<Self, LinkError> {
        if text.len() > LINK_CHARS_MAX {
            return Err(LinkError::TooLong { maximum: LINK_CHARS_MAX, got: text.len() });
        }
        let rest = text.strip_prefix(SCHEME).ok_or(LinkError::WrongScheme)?;
        let (content, key) = match rest.find('?') {
            Some(position) => {
                let (content, parameter) = rest.split_at(position);
                (content, Some(parameter))
            }
            None => (rest, None),
        };
        let content = ContentId(decode("the content id", content, LinkError::BadContentId)?);
        let key = key
            .map(|parameter| {
                // A link cut off within `?k=` is cut off before its key.
                let cut = KEY_PARAMETER.starts_with(parameter).then_some("");
                let key = parameter.strip_prefix(KEY_PARAMETER).or(cut);
                let key = key.ok_or(LinkError::UnknownParameter)?;
                decode("the key", key, LinkError::BadKey).map(ContentKey::from_bytes)
            })
            .transpose()?;
        Ok(Self { content, key })
    }
}

fn decode(part: &'static str, text: &str, bad: LinkError) -> Result<[u8; 32], LinkError> {
    if text.len() < ENCODED_CHARS && text.bytes().all(|c| c.is_ascii_alphanumeric()) {
        let (expected, got) = (ENCODED_CHARS, text.len());
        return Err(LinkError::Truncated { part, expected, got });
    }
    let bytes = BASE32_NOPAD_NOCASE.decode(text.as_bytes()).map_err(|_| bad)?;
    Zeroizing::new(bytes).as_slice().try_into().map_err(|_| bad)
}
