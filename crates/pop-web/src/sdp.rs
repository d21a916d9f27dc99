//! Session descriptions: what is read out of the browser's own, and the one that is written in the
//! place of a masternode's answer. The browser's own are never changed.

use core::fmt::Write as _;

/// Before the browser's own password in the user fragment of a masternode's answer: how the
/// masternode, which has no other signalling, learns the password. The scheme is that of
/// `webrtc-direct`, version 2.
const UFRAG_PREFIX: &str = "libp2p+webrtc+v2/";

/// SCTP port of data channels, as everybody has it.
const SCTP_PORT: u16 = 5_000;

/// Bytes of a message that a masternode takes.
const MESSAGE_BYTES_MAX: u32 = 16 * 1024;

/// Where a masternode's WebRTC endpoint is, and which certificate it has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoint<'a> {
    /// An IP address or a name: letters, digits, `.`, `-` and `:` only.
    pub(crate) host: &'a str,
    /// UDP port.
    pub(crate) port: u16,
    /// SHA-256 of its certificate.
    pub(crate) certificate: &'a [u8; 32],
}

/// SHA-256 of the certificate of the browser that made this description.
pub(crate) fn fingerprint(sdp: &str) -> Option<[u8; 32]> {
    let text = attribute(sdp, "fingerprint")?;
    let (algorithm, digits) = text.split_once(' ')?;
    if !algorithm.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut fingerprint = [0; 32];
    let mut given = digits.trim().split(':');
    for byte in &mut fingerprint {
        *byte = u8::from_str_radix(given.next()?, 16).ok()?;
    }
    given.next().is_none().then_some(fingerprint)
}

/// The answer that a masternode would give to `offer`. `None` if the offer is not one of data
/// channels alone.
pub(crate) fn answer(offer: &str, endpoint: Endpoint<'_>) -> Option<String> {
    let (mid, password) = (attribute(offer, "mid")?, attribute(offer, "ice-pwd")?);
    let Endpoint { host, port, certificate } = endpoint;
    let version = if host.contains(':') { 6 } else { 4 };
    let mut digits = String::with_capacity(95);
    for byte in certificate {
        let separator = if digits.is_empty() { "" } else { ":" };
        // A string takes everything.
        let _ = write!(digits, "{separator}{byte:02X}");
    }
    let credential = format!("{UFRAG_PREFIX}{password}");
    let lines = [
        "v=0".to_owned(),
        format!("o=- 0 0 IN IP{version} {host}"),
        "s=-".to_owned(),
        format!("c=IN IP{version} {host}"),
        "t=0 0".to_owned(),
        format!("a=group:BUNDLE {mid}"),
        "a=ice-lite".to_owned(),
        format!("m=application {port} UDP/DTLS/SCTP webrtc-datachannel"),
        format!("a=mid:{mid}"),
        "a=ice-options:ice2".to_owned(),
        format!("a=ice-ufrag:{credential}"),
        format!("a=ice-pwd:{credential}"),
        format!("a=fingerprint:sha-256 {digits}"),
        "a=setup:passive".to_owned(),
        format!("a=sctp-port:{SCTP_PORT}"),
        format!("a=max-message-size:{MESSAGE_BYTES_MAX}"),
        format!("a=candidate:1 1 UDP 1 {host} {port} typ host"),
        "a=end-of-candidates".to_owned(),
        String::new(),
    ];
    Some(lines.join("\r\n"))
}

/// The first attribute of a name.
fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    sdp.lines().find_map(|line| {
        let (found, value) = line.trim_end().strip_prefix("a=")?.split_once(':')?;
        (found == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 5 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        a=group:BUNDLE 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
        c=IN IP4 0.0.0.0\r\na=ice-ufrag:FwTk\r\na=ice-pwd:1J8yQfvjqnmVfN9HcEkXb2VY\r\n\
        a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:\
        16:17:18:19:1A:1B:1C:1D:1E:FF\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\n";

    #[test]
    fn the_certificate_is_read_out_of_a_description() {
        let mut expected: [u8; 32] = core::array::from_fn(|i| u8::try_from(i).unwrap());
        expected[31] = 0xff;
        assert_eq!(fingerprint(OFFER), Some(expected));
    }

    #[test]
    fn what_is_no_sha_256_is_no_certificate() {
        for line in [
            "",
            "a=fingerprint:sha-1 00:01",
            "a=fingerprint:sha-256 00:01",
            "a=fingerprint:sha-256 zz",
        ] {
            assert_eq!(fingerprint(line), None, "{line}");
        }
        let longer = OFFER.replace("1E:FF", "1E:FF:00");
        assert_eq!(fingerprint(&longer), None);
    }

    #[test]
    fn an_answer_carries_the_browsers_password_and_the_masternodes_certificate() {
        let endpoint = Endpoint { host: "192.0.2.7", port: 4782, certificate: &[0xab; 32] };
        let answer = answer(OFFER, endpoint).unwrap();
        let credential = "libp2p+webrtc+v2/1J8yQfvjqnmVfN9HcEkXb2VY";
        assert_eq!(attribute(&answer, "ice-ufrag"), Some(credential));
        assert_eq!(attribute(&answer, "ice-pwd"), Some(credential));
        assert_eq!(fingerprint(&answer), Some([0xab; 32]));
        assert!(answer.contains("a=candidate:1 1 UDP 1 192.0.2.7 4782 typ host\r\n"));
        assert!(answer.ends_with("\r\n"));
    }

    #[test]
    fn an_answer_over_ipv6_says_so() {
        let endpoint = Endpoint { host: "2001:db8::1", port: 1, certificate: &[0; 32] };
        assert!(answer(OFFER, endpoint).unwrap().contains("c=IN IP6 2001:db8::1\r\n"));
    }

    #[test]
    fn an_offer_without_a_password_has_no_answer() {
        let endpoint = Endpoint { host: "192.0.2.7", port: 4782, certificate: &[0; 32] };
        assert_eq!(answer("v=0\r\na=mid:0\r\n", endpoint), None);
    }
}
