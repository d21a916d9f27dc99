//! Which host names the gateway answers to.
//!
//! A page anywhere on the web can point a name of its own at 127.0.0.1 and then read this gateway
//! as its own origin (DNS rebinding). It cannot do so with an IP address or with `localhost`, so
//! these are always known, and other names only if the operator lists them.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;

/// Whether every host name that `request` carries is known. HTTP/1.0 without one is let through:
/// no browser sends it.
pub(super) fn is_known(request: &Request, hosts: &[String]) -> bool {
    let in_target = request.uri().host().into_iter().map(str::to_owned);
    let mut in_headers = Vec::new();
    for value in request.headers().get_all(HOST) {
        let authority = value.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
        match authority {
            Some(authority) if !authority.as_str().contains('@') => {
                in_headers.push(authority.host().to_owned());
            }
            _ => return false,
        }
    }
    in_target.chain(in_headers).all(|host| is_known_name(&host, hosts))
}

fn is_known_name(host: &str, hosts: &[String]) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&name);
    address.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || hosts.iter().any(|known| known.eq_ignore_ascii_case(&name))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_addresses_loopback_names_and_listed_names_are_known() {
        let table = [
            ("127.0.0.1:4780", true),
            ("127.0.0.1", true),
            ("192.168.1.5:80", true),
            ("[::1]:4780", true),
            ("[2001:db8::1]", true),
            ("localhost", true),
            ("LOCALHOST:4780", true),
            ("localhost.:4780", true),
            ("film.localhost:4780", true),
            ("pop.example.org", true),
            ("POP.example.org:443", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("evillocalhost", false),
            ("x.pop.example.org", false),
            ("evil.example@localhost", false),
            ("localhost@evil.example", false),
            ("local host", false),
            ("", false),
        ];
        let hosts = ["pop.example.org".to_owned()];
        for (host, known) in table {
            let request = Request::builder().header(HOST, host).body(Body::empty()).unwrap();
            assert_eq!(is_known(&request, &hosts), known, "Host: {host}");
        }
    }

    #[test]
    fn the_request_target_counts_as_well_as_the_header() {
        let request = |target: &str, host: &str| {
            Request::builder().uri(target).header(HOST, host).body(Body::empty()).unwrap()
        };
        assert!(is_known(&request("http://localhost/", "localhost"), &[]));
        assert!(!is_known(&request("http://evil.example/", "localhost"), &[]));
        assert!(!is_known(&request("http://localhost/", "evil.example"), &[]));
        let without = Request::builder().uri("/").body(Body::empty()).unwrap();
        assert!(is_known(&without, &[]));
    }
}
