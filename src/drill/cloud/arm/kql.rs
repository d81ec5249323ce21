//! The little of Kusto's query language that questions about vaults and servers need.
//!
//! `table | where … | extend … | project … | order by … | limit n`, with `and`, `or`, `not`, the usual comparisons of
//! texts, and a few functions. Anything else is an error, as it would be for a typing mistake in Azure.

use serde_json::{Map, Value};

/// How many brackets and negations a query may hold.
const DEEPEST: usize = 100;

/// Why a query cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) String);

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

#[derive(Debug, Clone)]
enum Expr {
    Path(Vec<String>),
    Literal(Value),
    Call(String, Vec<Expr>),
    Compare(Box<Expr>, String, Vec<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
}

/// The table that a query reads, in lower case.
pub(super) fn table(query: &str) -> Option<String> {
    let first = query.trim().split('|').next()?.trim();
    let fits = !first.is_empty() && first.chars().all(|c| c.is_ascii_alphanumeric());
    fits.then(|| first.to_ascii_lowercase())
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

fn unreadable(what: &str) -> Unreadable {
    Unreadable(format!("Query is invalid: {what} is not understood."))
}

fn tokens(query: &str) -> Result<Vec<Token>, Unreadable> {
    const SIGNS: [&str; 16] = ["in~", "==", "=~", "!=", "!~", "<=", ">=", "|", "(", ")", ",", "=", "<", ">", "[", "]"];
    let mut out = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '\'' || first == '"' {
            let end = rest[1..].find(first).ok_or_else(|| unreadable("an unclosed text"))?;
            out.push(Token::Text(rest[1..=end].to_owned()));
            rest = &rest[end + 2..];
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            out.push(Token::Sign((*sign).to_owned()));
            rest = &rest[sign.len()..];
        } else {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || "_.-$".contains(c))).unwrap_or(rest.len());
            if end == 0 {
                return Err(unreadable(&format!("'{first}'")));
            }
            out.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(out)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, Unreadable> {
        let token = self.peek().cloned().ok_or_else(|| unreadable("the end"))?;
        self.at += 1;
        Ok(token)
    }

    fn end(&self) -> Result<(), Unreadable> {
        self.peek().map_or(Ok(()), |token| Err(unreadable(&format!("{token:?}"))))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> Result<(), Unreadable> {
        if self.take_word(word) { Ok(()) } else { Err(unreadable(&format!("no '{word}'"))) }
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(next)) if next == sign);
        self.at += usize::from(found);
        found
    }

    fn number(&mut self) -> Result<usize, Unreadable> {
        match self.next()? {
            Token::Word(word) => word.parse().map_err(|_| unreadable(&word)),
            other => Err(unreadable(&format!("{other:?}"))),
        }
    }

    /// `name = expression, name, …`
    fn fields(&mut self) -> Result<Vec<(String, Expr)>, Unreadable> {
        let mut out = Vec::new();
        loop {
            let name = match self.next()? {
                Token::Word(word) => word,
                other => return Err(unreadable(&format!("{other:?}"))),
            };
            if self.take_sign("=") {
                out.push((name, self.expression()?));
            } else {
                self.at -= 1;
                let expr = self.expression()?;
                out.push((name.replace('.', "_"), expr));
            }
            if !self.take_sign(",") {
                self.end()?;
                return Ok(out);
            }
        }
    }

    fn expression(&mut self) -> Result<Expr, Unreadable> {
        let mut left = self.conjunction()?;
        while self.take_word("or") {
            left = Expr::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Expr, Unreadable> {
        let mut left = self.comparison()?;
        while self.take_word("and") {
            left = Expr::And(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expr, Unreadable> {
        if self.take_word("not") {
            return Ok(Expr::Not(Box::new(self.comparison()?)));
        }
        let left = self.term()?;
        let operator = match self.peek() {
            Some(Token::Sign(sign))
                if ["in~", "==", "=~", "!=", "!~", "<=", ">=", "<", ">"].contains(&sign.as_str()) =>
            {
                sign.clone()
            }
            Some(Token::Word(word))
                if ["in", "contains", "has", "startswith", "endswith"]
                    .contains(&word.to_ascii_lowercase().as_str()) =>
            {
                word.to_ascii_lowercase()
            }
            _ => return Ok(left),
        };
        self.at += 1;
        let right = if operator.starts_with("in") { self.list()? } else { vec![self.term()?] };
        Ok(Expr::Compare(Box::new(left), operator, right))
    }

    fn list(&mut self) -> Result<Vec<Expr>, Unreadable> {
        if !self.take_sign("(") {
            return Err(unreadable("a list without brackets"));
        }
        let mut out = Vec::new();
        while !self.take_sign(")") {
            out.push(self.expression()?);
            self.take_sign(",");
        }
        Ok(out)
    }

    fn term(&mut self) -> Result<Expr, Unreadable> {
        if self.take_sign("(") {
            let inner = self.expression()?;
            return if self.take_sign(")") { Ok(inner) } else { Err(unreadable("an unclosed bracket")) };
        }
        let word = match self.next()? {
            Token::Text(text) => return Ok(Expr::Literal(Value::String(text))),
            Token::Word(word) => word,
            Token::Sign(sign) => return Err(unreadable(&format!("'{sign}'"))),
        };
        if matches!(self.peek(), Some(Token::Sign(sign)) if sign == "(") {
            return Ok(Expr::Call(word.to_ascii_lowercase(), self.list()?));
        }
        if let Ok(number) = word.parse::<i64>() {
            return Ok(Expr::Literal(number.into()));
        }
        if let "true" | "false" = word.as_str() {
            return Ok(Expr::Literal((word == "true").into()));
        }
        let mut path: Vec<String> = word.split('.').map(str::to_owned).collect();
        while self.take_sign("[") {
            match self.next()? {
                Token::Text(text) => path.push(text),
                other => return Err(unreadable(&format!("{other:?}"))),
            }
            if !self.take_sign("]") {
                return Err(unreadable("an unclosed bracket"));
            }
        }
        Ok(Expr::Path(path))
    }
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
