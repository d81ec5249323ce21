//! Lenient access to JSON that nobody promised: keys in any casing, strings that hold JSON, `{value, localizedValue}`.

use std::borrow::Cow;

use serde_json_borrow::ObjectAsVec;
pub(super) use serde_json_borrow::Value;

/// A JSON object. Its words are those of the body itself where nothing in them is escaped.
pub(super) type Object<'a> = ObjectAsVec<'a>;

/// How many times a string that holds JSON is opened inside another: with it the work stays linear in the body.
const DEEPEST_STRING: u8 = 4;

/// Keys whose content is not about the event itself: a tag may say anything, and a related event is another event.
const NOT_THE_EVENT: [&str; 2] = ["tags", "relatedEvents"];

/// The value under `key`: spelled exactly so (the last one, should there be several), else in another casing or with blanks
/// around it. `null` is absent.
pub(super) fn get<'a>(object: &'a Object<'_>, key: &str) -> Option<&'a Value<'a>> {
    let (mut exact, mut alike) = (None, None);
    for (name, value) in object.iter() {
        if value.is_null() || name.len() < key.len() {
            continue;
        }
        if name == key {
            exact = Some(value);
        } else if alike.is_none() && is_alike(name, key) {
            alike = Some(value);
        }
    }
    exact.or(alike)
}

/// Whether a name that is no shorter than `key` is `key` in another casing, or with blanks around it.
fn is_alike(name: &str, key: &str) -> bool {
    if name.len() == key.len() {
        return name.eq_ignore_ascii_case(key);
    }
    let ends = [name.as_bytes().first(), name.as_bytes().last()];
    let blanks = ends.into_iter().flatten().any(|byte| !byte.is_ascii_graphic());
    blanks && name.trim().eq_ignore_ascii_case(key)
}

/// The text of a value: a string, a number, a truth value, or the `value` of a `{value, localizedValue}` pair.
/// Blank text is absent.
pub(super) fn text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Str(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Object(pair) => ["value", "localizedValue"]
            .iter()
            .filter_map(|key| get(pair, key)?.as_str())
            .map(|text| text.trim().to_owned())
            .find(|text| !text.is_empty()),
        Value::Null | Value::Array(_) => None,
    }
}

/// The text under the first of `keys` that has any.
pub(super) fn text_of(object: &Object<'_>, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| text(get(object, key)?))
}

/// An object, or the object that a string holds.
pub(super) fn object<'a>(value: &'a Value<'a>) -> Option<Cow<'a, Object<'a>>> {
    match value {
        Value::Object(object) => Some(Cow::Borrowed(object)),
        Value::Str(text) => match opened(text)? {
            Value::Object(object) => Some(Cow::Owned(object)),
            _ => None,
        },
        _ => None,
    }
}

/// The object under `key`.
pub(super) fn object_of<'a>(of: &'a Object<'_>, key: &str) -> Option<Cow<'a, Object<'a>>> {
    object(get(of, key)?)
}

/// The JSON object, array or string in a string, if it holds one.
pub(super) fn opened(text: &str) -> Option<Value<'_>> {
    let text = text.trim_start_matches('\u{feff}').trim();
    text.starts_with(['{', '[', '"']).then(|| serde_json::from_str(text).ok()).flatten()
}

/// Calls `see(key, text)` for every string in an event, in the order of the document; strings that hold JSON are opened.
pub(super) fn each_string(event: &Object<'_>, see: &mut dyn FnMut(&str, &str)) {
    for (key, value) in event.iter() {
        strings_in(key, value, 0, see);
    }
}

fn strings_in(key: &str, value: &Value<'_>, opened_strings: u8, see: &mut dyn FnMut(&str, &str)) {
    if NOT_THE_EVENT.iter().any(|not| key.len() >= not.len() && is_alike(key, not)) {
        return;
    }
    match value {
        Value::Str(text) => match (opened_strings < DEEPEST_STRING).then(|| opened(text)).flatten() {
            Some(inner) => strings_in(key, &inner, opened_strings + 1, see),
            None => see(key, text),
        },
        Value::Array(items) => items.iter().for_each(|item| strings_in(key, item, opened_strings, see)),
        Value::Object(object) => {
            for (inner_key, inner) in object.iter() {
                // `{"eventName": {"value": …}}` is the event name's value, not a value's value.
                let is_pair = ["value", "localizedValue"].iter().any(|part| inner_key.eq_ignore_ascii_case(part));
                strings_in(if is_pair { key } else { inner_key }, inner, opened_strings, see);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
