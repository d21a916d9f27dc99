//! What a browser says of itself in its first datagram.
//!
//! There is no signalling: the browser builds our answer itself, with `libp2p+webrtc+v2/` and its
//! own ICE password as our name and our password. So the name under which it asks for us tells all
//! that we have to know (webrtc-direct, version 2).

use str0m::IceCreds;
use str0m::ice::StunMessage;

/// In front of the browser's password, in our name.
const PREFIX: &str = "libp2p+webrtc+v2/";

/// Characters of a name (RFC 8839 §5.4).
const NAME_CHARS: std::ops::RangeInclusive<usize> = 4..=256;

/// Characters of a password, likewise.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 22..=256;

/// Names and passwords of both ends of a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Credentials {
    ours: String,
    theirs: String,
}

impl Credentials {
    /// Those that a binding request is made with; `None` for what is no such request, or not
    /// signed with the password that it names.
    pub(super) fn of(
        datagram: &[u8],
        hmac_sha1: impl Fn(&[u8], &[&[u8]]) -> [u8; 20],
    ) -> Option<Self> {
        // RFC 7983: STUN begins with 0 or 1; the parser asks for the rest.
        if datagram.first().is_none_or(|first| *first > 1) || datagram.len() < 20 {
            return None;
        }
        let request = StunMessage::parse(datagram).ok()?;
        if !request.is_binding_request() {
            return None;
        }
        let (ours, theirs) = request.split_username()?;
        // spec/exchange.md §2.2: both MUST be checked before they are used for anything.
        let password = ours.strip_prefix(PREFIX)?;
        let is_known = is_ice(ours, NAME_CHARS)
            && is_ice(password, PASSWORD_CHARS)
            && is_ice(theirs, NAME_CHARS);
        let credentials = is_known.then(|| Self { ours: ours.into(), theirs: theirs.into() })?;
        request.verify(ours.as_bytes(), hmac_sha1).then_some(credentials)
    }

    /// Ours: name and password are one.
    pub(super) fn local(&self) -> IceCreds {
        IceCreds { ufrag: self.ours.clone(), pass: self.ours.clone() }
    }

    /// The browser's.
    pub(super) fn remote(&self) -> IceCreds {
        let pass = self.ours.strip_prefix(PREFIX).unwrap_or_default();
        IceCreds { ufrag: self.theirs.clone(), pass: pass.to_owned() }
    }
}

/// Letters, digits, plus and slash, so many of them.
fn is_ice(text: &str, chars: std::ops::RangeInclusive<usize>) -> bool {
    let is_ice_char = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    chars.contains(&text.len()) && text.bytes().all(is_ice_char)
}

#[cfg(test)]
mod tests {
    use str0m::ice::TransId;

    use super::*;

    /// Stands for HMAC-SHA1: whoever has the key comes to the same.
    fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(key);
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize().as_bytes()[..20].try_into().unwrap()
    }

    fn request(username: &str, password: &str) -> Vec<u8> {
        let id = TransId::new();
        let message = StunMessage::binding_request(username, id, true, 7, 1, true);
        let mut buffer = vec![0; 2_000];
        let bytes = message.to_bytes(Some(password.as_bytes()), &mut buffer, mac).unwrap();
        buffer.truncate(bytes);
        buffer
    }

    fn accepts(username: &str, password: &str) -> bool {
        Credentials::of(&request(username, password), mac).is_some()
    }

    #[test]
    fn the_name_tells_both_names_and_both_passwords() {
        let password = "abcdefghijklmnopqrstuv+/";
        let ours = format!("{PREFIX}{password}");
        let found = Credentials::of(&request(&format!("{ours}:AbCd"), &ours), mac).unwrap();
        assert_eq!(found.local(), IceCreds { ufrag: ours.clone(), pass: ours });
        assert_eq!(found.remote(), IceCreds { ufrag: "AbCd".into(), pass: password.into() });
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let good = format!("{PREFIX}{}", "p".repeat(24));
        assert!(accepts(&format!("{good}:abcd"), &good));
        for (ours, theirs) in [
            (good.clone(), "abc".to_owned()),
            (good.clone(), "ab\r\nc".to_owned()),
            (good.clone(), "abcd:efgh".to_owned()),
            (good.replace("v2", "v1"), "abcd".to_owned()),
            (good.replace("v2", "v3"), "abcd".to_owned()),
            (format!("{PREFIX}{}", "p".repeat(21)), "abcd".to_owned()),
            (format!("{PREFIX}{}\n", "p".repeat(24)), "abcd".to_owned()),
            (format!("{PREFIX}{}ä", "p".repeat(24)), "abcd".to_owned()),
            (PREFIX.to_owned(), "abcd".to_owned()),
        ] {
            assert!(!accepts(&format!("{ours}:{theirs}"), &ours), "{ours}:{theirs}");
        }
    }

    #[test]
    fn names_have_a_length_on_both_sides() {
        for (length, expected) in [(3, false), (4, true), (256, true), (257, false)] {
            assert_eq!(is_ice(&"a".repeat(length), NAME_CHARS), expected, "{length}");
        }
    }

    #[test]
    fn another_password_and_garbage_are_refused() {
        let good = format!("{PREFIX}{}", "p".repeat(24));
        assert!(!accepts(&format!("{good}:abcd"), "another"));
        let whole = request(&format!("{good}:abcd"), &good);
        for length in 0..whole.len() {
            assert!(Credentials::of(&whole[..length], mac).is_none(), "{length}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            // What a signature covers not is its own place, and what comes behind it.
            let _no_panic = Credentials::of(&changed, mac);
        }
    }
}
