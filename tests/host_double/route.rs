//! Routes of HTTP functions: ASP.NET templates, as far as functions use them.

use serde_json::{Map, Value, json};

/// Matches a path below the prefix against a template such as `alerts`, `items/{id:alpha}`, `{id?}` or `{*rest}`.
pub fn matches(template: &str, path: &str) -> Option<Map<String, Value>> {
    let mut params = Map::new();
    let mut rest: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    for part in template.split('/').filter(|part| !part.is_empty()) {
        let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
            if rest.is_empty() || !rest.remove(0).eq_ignore_ascii_case(part) {
                return None;
            }
            continue;
        };
        if let Some(name) = name.strip_prefix('*') {
            params.insert(name.trim_start_matches('*').to_owned(), json!(rest.join("/")));
            return Some(params);
        }
        let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
        let (name, constraint) = name.split_once(':').unwrap_or((name, ""));
        match rest.first() {
            None if optional => continue,
            None => return None,
            Some(value) if constraint == "alpha" && !value.chars().all(|c| c.is_ascii_alphabetic()) => return None,
            Some(value) => params.insert(name.to_owned(), json!(value)),
        };
        rest.remove(0);
    }
    rest.is_empty().then_some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_as_in_asp_net() {
        assert!(matches("alerts", "/Alerts/").is_some());
        assert!(matches("alerts", "/alerts/more").is_none());
        assert_eq!(matches("{*page}", "/health/now").unwrap()["page"], "health/now");
        assert_eq!(matches("{*page}", "").unwrap()["page"], "");
        assert_eq!(matches("items/{id?}", "/items").unwrap().len(), 0);
        assert!(matches("items/{id:alpha}", "/items/12").is_none());
    }
}
