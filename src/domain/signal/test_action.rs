//! The portal's *Test action group* (reference: alerts and signals, 1.5): acknowledged, never acted upon.
//!
//! What only looks like a test is not taken for one: somebody's real rule may be called `test-something`.

use super::json::{Object, get, object_of, text_of};

/// The reason that people see.
pub(super) const REASON: &str = "a test of the action group";

/// Signs that no real alert bears: the id `…/Test_Alert` (a real one ends with a GUID), or an event that Azure itself
/// marks as synthetic.
pub(super) fn certainly(essentials: Option<&Object<'_>>, event: Option<&Object<'_>>) -> bool {
    let id = essentials.and_then(|essentials| text_of(essentials, &["alertId"])).unwrap_or_default();
    let name = id.rsplit('/').next().unwrap_or_default();
    let synthetic = event
        .and_then(|event| object_of(event, "properties"))
        .and_then(|properties| text_of(&properties, &["isSynthetic"]))
        .is_some_and(|truth| truth.eq_ignore_ascii_case("true"));
    name.eq_ignore_ascii_case("Test_Alert") || synthetic
}

/// Signs that a real alert might bear too. Good enough to say *why* something is ignored that is ignored anyway.
pub(super) fn probably(essentials: Option<&Object<'_>>, event: Option<&Object<'_>>) -> bool {
    let rule = essentials.and_then(|essentials| text_of(essentials, &["alertRule"])).unwrap_or_default();
    let description = essentials.and_then(|essentials| text_of(essentials, &["description"])).unwrap_or_default();
    let title = event
        .and_then(|event| object_of(event, "properties"))
        .and_then(|properties| text_of(&properties, &["title"]))
        .unwrap_or_default();
    let rule = rule.to_ascii_lowercase();
    let title: String = title.split_whitespace().collect::<String>().to_ascii_lowercase();
    rule.starts_with("test-") && rule.ends_with("alertrule")
        || title.starts_with("testactiongroup")
        || description.to_ascii_lowercase().starts_with("delivery confirmation")
        || event.is_some_and(names_the_test_machine)
}

fn names_the_test_machine(event: &Object<'_>) -> bool {
    ["resourceId", "authorization"].iter().filter_map(|key| get(event, key)).any(|value| {
        let id = value.as_str().map(str::to_owned).or_else(|| text_of(value.as_object()?, &["scope"]));
        id.is_some_and(|id| {
            let id = id.to_ascii_lowercase();
            id.contains("/resourcegroups/test-rg/") && id.ends_with("/test-vm")
        })
    })
}
