//! The little of Kusto's query language that questions about vaults and servers need.
//!
//! `table | where … | extend … | project … | order by … | limit n`, with `and`, `or`, `not`, the usual comparisons of
//! texts, and a few functions. Anything else is an error, as it would be for a typing mistake in Azure.

use super::kql_parser::{Expr, Parser, Token, Unreadable, tokens, unreadable};
use serde_json::{Map, Value};

/// How many brackets and negations a query may hold.
const DEEPEST: usize = 100;

/// The table that a query reads, in lower case.
pub(super) fn table(query: &str) -> Option<String> {
    let first = query.trim().split('|').next()?.trim();
    let fits = !first.is_empty() && first.chars().all(|c| c.is_ascii_alphanumeric());
    fits.then(|| first.to_ascii_lowercase())
}

/// The resource types, in lower case, that the first `where` of a query lets through; `None` if it names none. Rows of other
/// types need not be made.
pub(super) fn types(query: &str) -> Option<Vec<String>> {
    let tokens = tokens(query).ok()?;
    let stage = tokens.split(|token| *token == Token::Sign("|".to_owned())).nth(1)?;
    let Token::Word(verb) = stage.first()? else { return None };
    let mut parser = Parser { tokens: &stage[1..], at: 0 };
    verb.eq_ignore_ascii_case("where").then(|| types_in(&parser.expression().ok()?)).flatten()
}

fn types_in(condition: &Expr) -> Option<Vec<String>> {
    match condition {
        Expr::And(a, b) => types_in(a).or_else(|| types_in(b)),
        Expr::Compare(left, operator, right) => {
            let is_type = matches!(&**left, Expr::Path(path) if path.len() == 1 && path[0] == "type");
            let names = right.iter().map(|expr| match expr {
                Expr::Literal(Value::String(name)) => Some(name.to_lowercase()),
                _ => None,
            });
            (is_type && matches!(operator.as_str(), "==" | "=~" | "in" | "in~")).then(|| names.collect()).flatten()
        }
        _ => None,
    }
}

/// Runs a query over the rows of its table.
pub(super) fn run(query: &str, rows: Vec<Value>) -> Result<Vec<Value>, Unreadable> {
    let tokens = tokens(query)?;
    let deeper = |token: &&Token| match token {
        Token::Sign(sign) => sign == "(",
        Token::Word(word) => word.eq_ignore_ascii_case("not"),
        Token::Text(_) => false,
    };
    if tokens.iter().filter(deeper).count() > DEEPEST {
        return Err(unreadable("so deep a query"));
    }
    let mut stages = tokens.split(|token| *token == Token::Sign("|".to_owned()));
    stages.next();
    let mut rows = rows;
    for stage in stages {
        rows = run_stage(stage, rows)?;
    }
    Ok(rows)
}

fn run_stage(stage: &[Token], mut rows: Vec<Value>) -> Result<Vec<Value>, Unreadable> {
    let Some(Token::Word(verb)) = stage.first() else { return Err(unreadable("a stage without a verb")) };
    let mut parser = Parser { tokens: &stage[1..], at: 0 };
    match verb.to_ascii_lowercase().as_str() {
        "where" | "filter" => {
            let condition = parser.expression()?;
            parser.end()?;
            rows.retain(|row| truth(&evaluate(&condition, row)));
        }
        "extend" => {
            let fields = parser.fields()?;
            for row in &mut rows {
                for (name, expr) in &fields {
                    let value = evaluate(expr, row);
                    row[name.as_str()] = value;
                }
            }
        }
        "project" => {
            let fields = parser.fields()?;
            for row in &mut rows {
                let kept = fields.iter().map(|(name, expr)| (name.clone(), evaluate(expr, row)));
                let kept = kept.collect::<Map<_, _>>();
                *row = Value::Object(kept);
            }
        }
        "order" | "sort" => sort(&mut parser, &mut rows)?,
        "limit" | "take" => {
            let count = parser.number()?;
            rows.truncate(count);
        }
        "top" => {
            let count = parser.number()?;
            sort(&mut parser, &mut rows)?;
            rows.truncate(count);
        }
        other => return Err(unreadable(&format!("the operator '{other}'"))),
    }
    Ok(rows)
}

fn sort(parser: &mut Parser<'_>, rows: &mut [Value]) -> Result<(), Unreadable> {
    parser.word("by")?;
    let key = parser.expression()?;
    let ascending = parser.take_word("asc");
    if !ascending {
        parser.take_word("desc");
    }
    rows.sort_by(|a, b| {
        let order = text(&evaluate(&key, a)).cmp(&text(&evaluate(&key, b)));
        if ascending { order } else { order.reverse() }
    });
    Ok(())
}

fn evaluate(expr: &Expr, row: &Value) -> Value {
    match expr {
        Expr::Literal(value) => value.clone(),
        Expr::Path(path) => {
            let mut value = row;
            for part in path {
                value = value.get(part.as_str()).unwrap_or(&Value::Null);
            }
            value.clone()
        }
        Expr::Call(name, arguments) => call(name, arguments, row),
        Expr::And(a, b) => (truth(&evaluate(a, row)) && truth(&evaluate(b, row))).into(),
        Expr::Or(a, b) => (truth(&evaluate(a, row)) || truth(&evaluate(b, row))).into(),
        Expr::Not(inner) => (!truth(&evaluate(inner, row))).into(),
        Expr::Compare(left, operator, right) => {
            let left = text(&evaluate(left, row));
            let right: Vec<String> = right.iter().map(|expr| text(&evaluate(expr, row))).collect();
            compare(&left, operator, &right).into()
        }
    }
}

fn compare(left: &str, operator: &str, right: &[String]) -> bool {
    let lower = left.to_lowercase();
    let first = right.first().map_or("", String::as_str);
    let other = first.to_lowercase();
    match operator {
        "in" => right.iter().any(|one| one == left),
        "in~" => right.iter().any(|one| one.to_lowercase() == lower),
        "==" => left == first,
        "!=" => left != first,
        "=~" => lower == other,
        "!~" => lower != other,
        "contains" | "has" => lower.contains(&other),
        "startswith" => lower.starts_with(&other),
        "endswith" => lower.ends_with(&other),
        "<" => left < first,
        "<=" => left <= first,
        ">" => left > first,
        ">=" => left >= first,
        _ => false,
    }
}

fn call(name: &str, arguments: &[Expr], row: &Value) -> Value {
    let first = arguments.first().map_or(Value::Null, |expr| evaluate(expr, row));
    match name {
        "tolower" => text(&first).to_lowercase().into(),
        "toupper" => text(&first).to_uppercase().into(),
        "tostring" | "todatetime" | "datetime" => text(&first).into(),
        "isnotempty" => (!text(&first).is_empty()).into(),
        "isempty" => text(&first).is_empty().into(),
        "not" => (!truth(&first)).into(),
        // Everything that is kept is younger than any span that may be asked for.
        "ago" => "".into(),
        _ => first,
    }
}

fn truth(value: &Value) -> bool {
    value.as_bool().unwrap_or(false)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rows() -> Vec<Value> {
        vec![
            json!({ "type": "microsoft.keyvault/vaults", "name": "Contoso-KV", "id": "/a", "properties": { "x": 1 } }),
            json!({ "type": "microsoft.sql/servers", "name": "sql", "id": "/b",
                "properties": { "keyId": "https://contoso-kv.vault.azure.net/keys/k" } }),
        ]
    }

    fn ids(query: &str) -> Vec<String> {
        let found = run(query, rows()).unwrap_or_else(|error| panic!("{query}: {error:?}"));
        found.iter().map(|row| row["id"].as_str().unwrap_or("?").to_owned()).collect()
    }

    #[test]
    fn finds_a_vault_by_name_however_it_is_asked() {
        for query in [
            "resources | where type =~ 'microsoft.keyvault/vaults' and name =~ 'contoso-kv' | project id, name, properties",
            "Resources | where type == \"microsoft.keyvault/vaults\" | where tolower(name) == tolower('CONTOSO-kv')",
            "resources|where type in~ ('microsoft.keyvault/vaults') and name in~ ('contoso-kv','other')|limit 10",
            "resources | where (type has 'keyvault') and not(name =~ 'sql') | order by name asc | take 1",
        ] {
            assert_eq!(ids(query), ["/a"], "{query}");
        }
    }

    #[test]
    fn extends_and_searches_in_properties() {
        let query = "resources | where type in~ ('microsoft.sql/servers','microsoft.sql/managedinstances') | extend \
                     k=tostring(properties.keyId), i=identity | where k contains 'contoso-kv.vault.azure.net' | project id, k, i";
        assert_eq!(ids(query), ["/b"]);
        assert_eq!(ids("resources | where properties['x'] == 1 | project id"), ["/a"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for query in ["resources | summarize count()", "resources | where name =~ 'x", "resources | where name ~ 'x'"] {
            assert!(run(query, rows()).is_err(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_query_brings_it_down(query in "\\PC{0,80}") {
            let _ = run(&query, rows());
            let _ = table(&query);
        }

        #[test]
        fn no_half_query_brings_it_down(parts in prop::collection::vec(prop::sample::select(vec![
            "resources", "|", "where", "name", "=~", "'x'", "(", ")", ",", "in~", "extend", "project", "=", "and",
            "not", "[", "]", "top", "5", "by", "order", "properties.x", "tolower", "'",
        ]), 0..20)) {
            let _ = run(&parts.join(" "), rows());
        }
    }
}
