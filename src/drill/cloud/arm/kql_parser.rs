//! Reads the text of a query.

use serde_json::Value;

/// Why a query cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) String);

pub(super) fn unreadable(what: &str) -> Unreadable {
    Unreadable(format!("Query is invalid: {what} is not understood."))
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

#[derive(Debug, Clone)]
pub(super) enum Expr {
    Path(Vec<String>),
    Literal(Value),
    Call(String, Vec<Expr>),
    Compare(Box<Expr>, String, Vec<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
}

pub(super) fn tokens(query: &str) -> Result<Vec<Token>, Unreadable> {
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

pub(super) struct Parser<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn next(&mut self) -> Result<Token, Unreadable> {
        let token = self.peek().cloned().ok_or_else(|| unreadable("the end"))?;
        self.at += 1;
        Ok(token)
    }

    pub(super) fn end(&self) -> Result<(), Unreadable> {
        self.peek().map_or(Ok(()), |token| Err(unreadable(&format!("{token:?}"))))
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    pub(super) fn word(&mut self, word: &str) -> Result<(), Unreadable> {
        if self.take_word(word) { Ok(()) } else { Err(unreadable(&format!("no '{word}'"))) }
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(next)) if next == sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn number(&mut self) -> Result<usize, Unreadable> {
        match self.next()? {
            Token::Word(word) => word.parse().map_err(|_| unreadable(&word)),
            other => Err(unreadable(&format!("{other:?}"))),
        }
    }

    /// `name = expression, name, …`
    pub(super) fn fields(&mut self) -> Result<Vec<(String, Expr)>, Unreadable> {
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

    pub(super) fn expression(&mut self) -> Result<Expr, Unreadable> {
        let mut left = self.conjunction()?;
        while self.take_word("or") {
            left = Expr::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    pub(super) fn conjunction(&mut self) -> Result<Expr, Unreadable> {
        let mut left = self.comparison()?;
        while self.take_word("and") {
            left = Expr::And(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    pub(super) fn comparison(&mut self) -> Result<Expr, Unreadable> {
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

    pub(super) fn list(&mut self) -> Result<Vec<Expr>, Unreadable> {
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

    pub(super) fn term(&mut self) -> Result<Expr, Unreadable> {
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
