//! How a scalar is read where the schema says what it shall be.

use ipnet::IpNet;
use regex::Regex;
use serde_json::Value as Json;

use super::alternatives::{Alternatives, describe, describe_number};

/// The scalar as one of the accepted kinds, or what to write instead.
pub(super) fn read(text: &str, plain: bool, choices: &Alternatives<'_>) -> Result<Json, String> {
    if let Some(schema) = choices.text {
        return check_text(text, schema).map(|()| Json::String(text.to_owned()));
    }
    if choices.choices.contains(&text) {
        return Ok(Json::String(text.to_owned()));
    }
    if let Some(schema) = choices.boolean
        && let Some(value) = text.parse::<bool>().ok().filter(|_| plain)
        && schema["const"].as_bool().is_none_or(|only| only == value)
    {
        return Ok(Json::Bool(value));
    }
    if let Some(schema) = choices.number {
        return read_number(text, plain, schema);
    }
    if !choices.choices.is_empty() {
        return Err(not_among(text, &choices.choices));
    }
    let shown = base::inert(text, 60);
    if choices.boolean.is_some() {
        let advice = match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" | "true" if choices.list.is_none() => "; write true",
            "no" | "off" | "n" | "false" => "; write false",
            _ => "",
        };
        return Err(format!("`{shown}` is not {}{advice}", describe(choices)));
    }
    Err(format!("`{shown}` is a single value; give {}", describe(choices)))
}

pub(super) fn not_among(text: &str, choices: &[&str]) -> String {
    let shown = base::inert(text, 60);
    let advice = policy::check::nearest(text, choices.iter().copied())
        .map_or_else(String::new, |near| format!("; did you mean {near}?"));
    format!("`{shown}` is not one of {}{advice}", choices.join(", "))
}

fn check_text(text: &str, schema: &Json) -> Result<(), String> {
    let what = schema["description"].as_str().unwrap_or("see the documentation of this key");
    if let Some(pattern) = schema["pattern"].as_str()
        && !Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
    {
        return Err(format!("`{}` is not accepted here: {what}", base::inert(text, 60)));
    }
    if schema["format"] == "cidr" && text.parse::<IpNet>().is_err() {
        return Err(format!(
            "`{}` is not a range of addresses, such as 10.20.0.0/16 or 192.0.2.7/32",
            base::inert(text, 60)
        ));
    }
    Ok(())
}

fn read_number(text: &str, plain: bool, schema: &Json) -> Result<Json, String> {
    let wanted = || format!("`{}` is not {}", base::inert(text, 60), describe_number(schema));
    let whole = schema["type"].to_string().contains("integer");
    let digits = text.bytes().all(|b| b.is_ascii_digit() || (!whole && b == b'.'));
    let zeros = text.len() > 1 && text.starts_with('0') && !text.starts_with("0.");
    if !plain || !digits || zeros {
        return Err(wanted());
    }
    let number: f64 = text.parse().map_err(|_| wanted())?;
    let below = schema["minimum"].as_f64().is_some_and(|least| number < least);
    let above = schema["maximum"].as_f64().is_some_and(|most| number > most);
    if below || above {
        return Err(wanted());
    }
    let json = if whole { text.parse::<u64>().ok().map(Json::from) } else { Some(Json::from(number)) };
    json.ok_or_else(wanted)
}
