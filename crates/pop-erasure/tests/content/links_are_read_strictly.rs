use pop_erasure::{ContentKey, ContentLink, LinkError};
use pop_wire::ContentId;
use proptest::prelude::*;

const ID: &str = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq";

fn refused(text: &str) -> LinkError {
    text.parse::<ContentLink>().unwrap_err()
}

#[test]
fn refusals_say_what_is_wrong() {
    for text in ["", "pop", "http://x", "POP:", &format!(" pop:{ID}"), ID] {
        assert_eq!(refused(text), LinkError::WrongScheme, "{text}");
    }
    let cut = |part, got| LinkError::Truncated { part, expected: 52, got };
    for length in 0..52 {
        let id = format!("pop:{}", &ID[..length]);
        assert_eq!(refused(&id), cut("the content id", length));
        assert_eq!(refused(&format!("pop:{ID}?k={}", &ID[..length])), cut("the key", length));
    }
    for parameter in ["?", "?k", "?k="] {
        assert_eq!(refused(&format!("pop:{ID}{parameter}")), cut("the key", 0));
    }
    for parameter in ["?x=1", "?kk", "?K=", "?k:", "?&k="] {
        assert_eq!(refused(&format!("pop:{ID}{parameter}")), LinkError::UnknownParameter);
    }
    let last_bit_set = format!("{}r", &ID[..51]);
    for id in ["a".repeat(53), ID.replace('a', "1"), ID.replace('a', "!"), last_bit_set] {
        assert_eq!(refused(&format!("pop:{id}")), LinkError::BadContentId, "{id}");
        assert_eq!(refused(&format!("pop:{ID}?k={id}")), LinkError::BadKey, "{id}");
    }
    let long = format!("pop:{}", "a".repeat(125));
    assert_eq!(refused(&long), LinkError::TooLong { maximum: 128, got: 129 });
}

#[test]
fn case_does_not_matter_and_the_key_may_be_absent() {
    let lower: ContentLink = format!("pop:{ID}?k={ID}").parse().unwrap();
    let upper: ContentLink = format!("pop:{0}?k={0}", ID.to_ascii_uppercase()).parse().unwrap();
    assert_eq!(lower.to_string(), upper.to_string());
    let without: ContentLink = format!("pop:{ID}").parse().unwrap();
    assert!(without.key.is_none() && without.content == lower.content);
    assert_eq!(without.to_string(), format!("pop:{ID}"));
    assert!(!format!("{lower:?}").contains(&format!("k={ID}")));
}

proptest! {
    #[test]
    fn links_survive_writing_and_reading(content: [u8; 32], key: Option<[u8; 32]>) {
        let link = ContentLink { content: ContentId(content), key: key.map(ContentKey::from_bytes) };
        let again: ContentLink = link.to_string().parse().unwrap();
        prop_assert_eq!(again.content.0, content);
        prop_assert_eq!(again.key.map(|key| *key.expose_secret()), key);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(pop:)?\\PC{0,130}") {
        let _ = text.parse::<ContentLink>();
    }
}
