//! Where settings come from, who wins, and what a mistake is answered with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use pop_node::settings::{ByteSize, Layer, LogFormat, Origin, Settings, SettingsError};

fn from_file(text: &str) -> Result<Layer, SettingsError> {
    Layer::from_toml(text, Path::new("config.toml"))
}

fn from_variables(variables: &[(&str, &str)]) -> Result<Layer, SettingsError> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    Layer::from_environment(|name| variables.get(name).map(|value| (*value).to_owned()))
}

fn from_flags(arguments: &[&str]) -> Result<Layer, clap::Error> {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        layer: Layer,
    }
    let arguments = ["pop-node"].iter().chain(arguments);
    <Command as clap::Parser>::try_parse_from(arguments).map(|command| command.layer)
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = from_file("links_max = 1\nquota_bytes = 1\nhttp_connections_max = 1").unwrap();
    let environment = from_variables(&[("POP_LINKS_MAX", "2"), ("POP_QUOTA_BYTES", "2")]).unwrap();
    let flags = from_flags(&["--links-max", "3"]).unwrap();
    let resolved = Settings::resolve(&flags, &environment, &file).unwrap();
    let settings = &resolved.settings;
    assert_eq!((settings.links_max, resolved.origins["links_max"]), (3, Origin::Flag));
    assert_eq!((settings.quota_bytes, resolved.origins["quota_bytes"]), (2, Origin::Environment));
    let connections_max = settings.http_connections_max;
    assert_eq!((connections_max, resolved.origins["http_connections_max"]), (1, Origin::File));
    assert_eq!(settings.listen, Settings::default().listen);
    assert_eq!(resolved.origins["listen"], Origin::Default);
    assert_eq!(resolved.origins.len(), Layer::NAMES.len());
}

#[test]
fn every_setting_can_be_set_from_all_three_sources() {
    let peer = pop_wire::Keypair::from_secret_bytes(&[1; 32]).unwrap().peer_id();
    let bootstrap = format!("/ip4/192.0.2.1/tcp/4700/p2p/{peer}");
    let operator = "0x00000000000000000000000000000000000000ff";
    let file = from_file(&format!(
        "data_dir = '/data'\nlisten = ['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/2']\n\
         external = ['/dns4/node.example/tcp/1']\nbootstrap = ['{bootstrap}']\n\
         http_listen = 'off'\nhttp_hosts = ['a.example', 'b.example']\n\
         web_listen = 'off'\nhttp_connections_max = 7\nquota_bytes = '2 TB'\noperator = '{operator}'\nlinks_max = 8\n\
         serve_bytes_max = '1 GiB'\nlink_credit_bytes = 1_000_000\n\
         fetch_bytes_max = '2 GiB'\n\
         price = '1.5'\nprice_max = '2 POP'\nprice_scarce_max = '4'\n\
         scarcity_interval_s = 9\nunredeemed_max = '3'\nredeem_interval_s = 4\n\
         key_sale_interval_s = 3\n\
         borrow = false\ninterest_bps_max = 5\nlend = false\nlend_interest_bps = 6\n\
         lend_fresh_bytes = '1 MB'\nlend_total_bytes = '2 MB'\nlog_format = 'json'\n\
         diversity_exempt_loopback = true\nledger = '{bootstrap}'\nserve_ledger = false"
    ));
    let environment = from_variables(&[
        ("POP_DATA_DIR", "/data"),
        ("POP_LISTEN", "/ip4/127.0.0.1/tcp/1, /ip6/::1/tcp/2"),
        ("POP_EXTERNAL", "/dns4/node.example/tcp/1"),
        ("POP_BOOTSTRAP", &bootstrap),
        ("POP_HTTP_LISTEN", "off"),
        ("POP_WEB_LISTEN", "off"),
        ("POP_HTTP_HOSTS", "a.example,b.example"),
        ("POP_HTTP_CONNECTIONS_MAX", "7"),
        ("POP_QUOTA_BYTES", "2TB"),
        ("POP_OPERATOR", operator),
        ("POP_LINKS_MAX", "8"),
        ("POP_SERVE_BYTES_MAX", "1073741824"),
        ("POP_LINK_CREDIT_BYTES", "1MB"),
        ("POP_FETCH_BYTES_MAX", "2 GiB"),
        ("POP_PRICE_SCARCE_MAX", "4"),
        ("POP_SCARCITY_INTERVAL_S", "9"),
        ("POP_PRICE", "1.5"),
        ("POP_PRICE_MAX", "2"),
        ("POP_UNREDEEMED_MAX", "3"),
        ("POP_REDEEM_INTERVAL_S", "4"),
        ("POP_KEY_SALE_INTERVAL_S", "3"),
        ("POP_BORROW", "false"),
        ("POP_INTEREST_BPS_MAX", "5"),
        ("POP_LEND", "false"),
        ("POP_LEND_INTEREST_BPS", "6"),
        ("POP_LEND_FRESH_BYTES", "1MB"),
        ("POP_LEND_TOTAL_BYTES", "2MB"),
        ("POP_LOG_FORMAT", "json"),
        ("POP_DIVERSITY_EXEMPT_LOOPBACK", "true"),
        ("POP_LEDGER", &bootstrap),
        ("POP_SERVE_LEDGER", "false"),
    ]);
    let flags = from_flags(&[
        "--data-dir=/data",
        "--listen=/ip4/127.0.0.1/tcp/1",
        "--listen=/ip6/::1/tcp/2",
        "--external=/dns4/node.example/tcp/1",
        &format!("--bootstrap={bootstrap}"),
        "--http-listen=off",
        "--web-listen=off",
        "--http-hosts=a.example,b.example",
        "--http-connections-max=7",
        "--quota-bytes=2TB",
        &format!("--operator={operator}"),
        "--links-max=8",
        "--serve-bytes-max=1GiB",
        "--link-credit-bytes=1MB",
        "--fetch-bytes-max=2GiB",
        "--price=1.5",
        "--price-max=2",
        "--price-scarce-max=4",
        "--scarcity-interval-s=9",
        "--unredeemed-max=3",
        "--redeem-interval-s=4",
        "--key-sale-interval-s=3",
        "--borrow=false",
        "--interest-bps-max=5",
        "--lend=false",
        "--lend-interest-bps=6",
        "--lend-fresh-bytes=1MB",
        "--lend-total-bytes=2MB",
        "--log-format=json",
        "--diversity-exempt-loopback",
        &format!("--ledger={bootstrap}"),
        "--serve-ledger=false",
    ]);
    let (file, environment, flags) = (file.unwrap(), environment.unwrap(), flags.unwrap());
    let none = Layer::default();
    let from_flags = Settings::resolve(&flags, &none, &none).unwrap();
    let from_environment = Settings::resolve(&none, &environment, &none).unwrap();
    let from_file = Settings::resolve(&none, &none, &file).unwrap();
    for (resolved, origin) in [
        (&from_flags, Origin::Flag),
        (&from_environment, Origin::Environment),
        (&from_file, Origin::File),
    ] {
        assert_eq!(resolved.settings, from_flags.settings);
        for (name, found) in &resolved.origins {
            assert_eq!(*found, origin, "{name}");
        }
    }
    let settings = from_flags.settings;
    assert_eq!(settings.listen.len(), 2);
    assert_eq!(settings.http_listen, None);
    assert_eq!(settings.web_listen, None);
    assert_eq!(settings.quota_bytes, 2_000_000_000_000);
    assert_eq!(settings.log_format, LogFormat::Json);
    assert!(settings.operator.is_some() && settings.diversity_exempt_loopback);
}

#[test]
fn the_sample_file_says_what_the_defaults_say() {
    let sample = from_file(Settings::sample_toml()).unwrap();
    let none = Layer::default();
    let resolved = Settings::resolve(&none, &none, &sample).unwrap();
    assert_eq!(resolved.settings, Settings::default());
    for name in Layer::NAMES {
        assert!(Settings::sample_toml().contains(&format!("{name} = ")), "{name}");
    }
    // What is commented out is valid too.
    let all = Settings::sample_toml().replace("# data_dir", "data_dir");
    let all = all.replace("# operator", "operator").replace("# ledger", "ledger");
    Settings::resolve(&none, &none, &from_file(&all).unwrap()).unwrap();
}

#[test]
fn an_unknown_key_is_an_error_with_its_line_and_the_nearest_name() {
    let message = |text| from_file(text).unwrap_err().to_string();
    assert_eq!(
        message("# a comment\nlinks_max = 5\nquota_byte = 5"),
        "config.toml:3: unknown setting `quota_byte`, did you mean `quota_bytes`?"
    );
    let dashes = message("http-listen = 'off'");
    assert!(dashes.ends_with("did you mean `http_listen`?"), "{dashes}");
    let far = message("colour = 'red'");
    assert_eq!(far, "config.toml:1: unknown setting `colour`");
    let table = message("\n[http]\nlisten = 'off'");
    assert!(table.starts_with("config.toml:2: unknown setting `http`"), "{table}");
}

#[test]
fn a_bad_value_is_an_error_with_its_place() {
    let message = |text| from_file(text).unwrap_err().to_string();
    for (text, start, part) in [
        ("links_max = 5\nlisten = ['nonsense']", "config.toml:2: ", ""),
        ("links_max = -1", "config.toml:1: ", ""),
        ("\n\nlinks_max = 'many'", "config.toml:3: ", ""),
        ("quota_bytes = '5 pebibananas'", "config.toml:1: ", "10GiB"),
        ("http_listen = 'here'", "config.toml:1: ", "127.0.0.1:4780"),
        ("log_format = 'xml'", "config.toml:1: ", "`text` or `json`"),
        ("operator = '0x12'", "config.toml:1: ", "wallet address"),
        ("links_max =\n", "config.toml:1: ", ""),
        ("links_max = 1\nlinks_max = 2", "config.toml:2: ", "duplicate"),
    ] {
        let message = message(text);
        assert!(message.starts_with(start) && message.contains(part), "{text}: {message}");
    }
    let variable = from_variables(&[("POP_LINKS_MAX", "many")]).unwrap_err().to_string();
    assert!(variable.starts_with("POP_LINKS_MAX: "), "{variable}");
    let variable = from_variables(&[("POP_LISTEN", "/ip4/127.0.0.1/tcp/1,x")]).unwrap_err();
    assert!(matches!(variable, SettingsError::BadVariable { .. }), "{variable:?}");
    assert!(from_flags(&["--quota-bytes=x"]).is_err());
}

#[test]
fn values_that_cannot_work_are_refused() {
    let none = Layer::default();
    for text in [
        "links_max = 0",
        "http_connections_max = 0",
        "serve_bytes_max = 1",
        "link_credit_bytes = 1",
        "fetch_bytes_max = 1",
        "ledger = '/ip4/127.0.0.1/tcp/4700'",
        "serve_ledger = true\nledger = '/ip4/127.0.0.1/tcp/1/p2p/\
         16Uiu2HAm4DNbXEmsMmwkh2pTyjjBRQzBjzUTjVrcBrxr2ThDUEvc'",
    ] {
        let file = from_file(text).unwrap();
        let refused = Settings::resolve(&none, &none, &file).unwrap_err();
        assert!(matches!(refused, SettingsError::Unusable { .. }), "{refused:?}");
    }
}

#[test]
fn sizes_are_written_as_people_write_them() {
    for (text, bytes) in [
        ("0", 0),
        ("1048576", 1 << 20),
        ("1_000_000", 1_000_000),
        ("10GiB", 10 << 30),
        ("10 gib", 10 << 30),
        ("500 MB", 500_000_000),
        ("3TiB", 3 << 40),
        ("7 B", 7),
    ] {
        assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
    }
    for text in ["", "GiB", "-1", "1.5GB", "10 XB", "99999999999 TiB", "0x10", "1 GB 2"] {
        assert!(text.parse::<ByteSize>().is_err(), "{text}");
    }
}

#[test]
fn the_named_file_must_be_there() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Settings::load(&Layer::default(), Some(&directory.path().join("no.toml")));
    assert!(matches!(missing, Err(SettingsError::Unreadable { .. })), "{missing:?}");
    let path = directory.path().join("config.toml");
    std::fs::write(&path, "http_listen = '127.0.0.1:9'").unwrap();
    let loaded = Settings::load(&Layer::default(), Some(&path)).unwrap();
    let expected: SocketAddr = "127.0.0.1:9".parse().unwrap();
    assert_eq!(loaded.settings.http_listen, Some(expected));
}
