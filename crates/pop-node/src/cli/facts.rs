//! What a verb about money reports: the same facts for people and for programs.

use pop_wire::{Amount, UnixTime};
use serde_json::{Map, Value};

use super::output;
use crate::clock;

/// One thing that is reported.
pub(super) enum Fact {
    /// Shown as it is.
    Text(String),
    /// For programs without the unit: `"1.5"`, exact, in POP.
    Amount(Amount),
    /// A count.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// For programs in seconds since 1970; for people as date and time of UTC.
    Time(UnixTime),
    /// There is none.
    Nothing,
    /// Several of a kind.
    List(Vec<Facts>),
}

/// Facts with their names, in the order in which people read them.
pub(super) type Facts = Vec<(&'static str, Fact)>;

/// For `Option`s: nothing, or the fact.
pub(super) fn maybe<T>(value: Option<T>, fact: impl FnOnce(T) -> Fact) -> Fact {
    value.map_or(Fact::Nothing, fact)
}

/// A text.
pub(super) fn text(value: impl ToString) -> Fact {
    Fact::Text(value.to_string())
}

/// Print the facts, and what happens or has to be done next.
pub(super) fn report(facts: &Facts, next: &str, as_json: bool) {
    if as_json {
        let mut object = object(facts);
        if !next.is_empty() {
            object.insert("next".to_owned(), next.into());
        }
        println!("{}", Value::Object(object));
        return;
    }
    print(facts, "");
    if !next.is_empty() {
        println!("\n{next}");
    }
}

fn object(facts: &Facts) -> Map<String, Value> {
    facts.iter().map(|(name, fact)| ((*name).to_owned(), value(fact))).collect()
}

fn value(fact: &Fact) -> Value {
    match fact {
        Fact::Text(text) => text.as_str().into(),
        Fact::Amount(amount) => output::plain(*amount).into(),
        Fact::Number(number) => (*number).into(),
        Fact::Flag(flag) => (*flag).into(),
        Fact::Time(time) => time.0.into(),
        Fact::Nothing => Value::Null,
        Fact::List(list) => list.iter().map(|facts| Value::Object(object(facts))).collect(),
    }
}

fn print(facts: &Facts, indent: &str) {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    for (name, fact) in facts {
        let name = name.replace('_', " ");
        match fact {
            Fact::Nothing => {}
            Fact::List(list) => {
                println!("{indent}{name}");
                for facts in list {
                    print(facts, &format!("{indent}  "));
                    println!();
                }
            }
            fact => println!("{indent}{name:<width$}{}", shown(fact)),
        }
    }
}

fn shown(fact: &Fact) -> String {
    match fact {
        Fact::Text(text) => text.clone(),
        Fact::Amount(amount) => amount.to_string(),
        Fact::Number(number) => number.to_string(),
        Fact::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Fact::Time(time) => when(*time),
        Fact::Nothing | Fact::List(_) => String::new(),
    }
}

/// Date and time in UTC, and how far away it is if it is to come.
pub(super) fn when(time: UnixTime) -> String {
    let stamp = clock::utc(time);
    match time.0.checked_sub(clock::unix_now().0) {
        None | Some(0) => stamp,
        Some(s @ 1..120) => format!("{stamp} (in {s} s)"),
        Some(s @ 120..7200) => format!("{stamp} (in {} min)", s / 60),
        Some(s @ 7200..172_800) => format!("{stamp} (in {} h)", s / 3600),
        Some(s) => format!("{stamp} (in {} days)", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_come_are_also_told_in_days() {
        assert_eq!(when(UnixTime(86_399)), "1970-01-01 23:59:59 UTC");
        assert!(when(UnixTime(u64::MAX)).contains("days"));
    }

    #[test]
    fn programs_get_exact_amounts() {
        let facts: Facts = vec![
            ("held", Fact::Amount(Amount::from_base_units(1_500_000_000_000_000_001))),
            ("vault", maybe(None::<u64>, Fact::Number)),
            ("loans", Fact::List(vec![vec![("count", Fact::Number(2))]])),
        ];
        let expected = r#"{"held":"1.500000000000000001","loans":[{"count":2}],"vault":null}"#;
        assert_eq!(Value::Object(object(&facts)).to_string(), expected);
    }
}
