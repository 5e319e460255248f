//! Expressions over measured values: `flow.mp.goodput / mean(flow.tcp.*.goodput)`.
//!
//! **Owns** reading and evaluating. Operators stand between spaces, since names have dots, stars
//! and dashes in them. A star in a name stands for any characters, and only a function takes such
//! a name: `sum`, `mean`, `min`, `max`, `count`, `jain`. `case:name` is a value of another case.

use std::collections::BTreeMap;

/// Values of one case, by name.
pub(crate) type Values = BTreeMap<String, f64>;

/// What an expression is evaluated over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// All cases of one seed.
    pub(crate) cases: &'a BTreeMap<String, Values>,
    /// The case of names that name none.
    pub(crate) case: &'a str,
}

/// Evaluates an expression.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn evaluate(text: &str, scope: Scope<'_>) -> Result<f64, String> {
    let mut parser = Parser { tokens: tokens(text), at: 0, scope };
    let value = parser.sum()?;
    match parser.peek() {
        None => Ok(value),
        Some(rest) => Err(format!("{rest:?} was not expected in {text:?}")),
    }
}

/// Cases that an expression names.
pub(crate) fn cases(text: &str) -> Vec<String> {
    let named = tokens(text).into_iter().filter_map(|t| {
        let (case, _) = t.split_once(':')?;
        Some(case.to_owned())
    });
    named.collect()
}

/// Whether an expression has names that name no case.
pub(crate) fn needs_a_case(text: &str) -> bool {
    tokens(text).iter().any(|t| t.contains('.') && !t.contains(':') && t.parse::<f64>().is_err())
}

fn tokens(text: &str) -> Vec<String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ").replace(',', " , ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Parser<'a> {
    tokens: Vec<String>,
    at: usize,
    scope: Scope<'a>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn take(&mut self, token: &str) -> bool {
        let taken = self.peek() == Some(token);
        self.at += usize::from(taken);
        taken
    }

    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            if self.take("+") {
                value += self.product()?;
            } else if self.take("-") {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.atom()?;
        loop {
            if self.take("*") {
                value *= self.atom()?;
            } else if self.take("/") {
                value /= self.atom()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn atom(&mut self) -> Result<f64, String> {
        let token = self.peek().ok_or("the expression ends early")?.to_owned();
        self.at += 1;
        if token == "(" {
            let value = self.sum()?;
            return self.close(value);
        }
        if let Ok(number) = token.parse() {
            return Ok(number);
        }
        if self.take("(") {
            let value = self.function(&token)?;
            return self.close(value);
        }
        match self.values(&token)?.as_slice() {
            [value] => Ok(*value),
            several => Err(format!("{token:?} stands for {} values", several.len())),
        }
    }

    fn close(&mut self, value: f64) -> Result<f64, String> {
        if self.take(")") { Ok(value) } else { Err("a parenthesis is not closed".to_owned()) }
    }

    fn function(&mut self, name: &str) -> Result<f64, String> {
        let mut values = Vec::new();
        loop {
            match self.peek() {
                Some(token) if token.contains('*') && token.len() > 1 => {
                    let token = token.to_owned();
                    self.at += 1;
                    values.extend(self.values(&token)?);
                }
                _ => values.push(self.sum()?),
            }
            if !self.take(",") {
                break;
            }
        }
        aggregate(name, &values)
    }

    /// The values that a name stands for, at least one.
    fn values(&self, token: &str) -> Result<Vec<f64>, String> {
        let (case, name) = token.split_once(':').unwrap_or((self.scope.case, token));
        let values = self.scope.cases.get(case).ok_or_else(|| format!("no case {case:?}"))?;
        let found: Vec<f64> =
            values.iter().filter(|(n, _)| matches(name, n)).map(|(_, &v)| v).collect();
        if found.is_empty() { Err(unknown(name, values)) } else { Ok(found) }
    }
}

/// Says which names there are that begin alike.
fn unknown(name: &str, values: &Values) -> String {
    let second = name.match_indices('.').nth(1).map_or(name.len(), |(at, _)| at);
    let stem = &name[..second];
    let near: Vec<&str> =
        values.keys().filter(|n| n.starts_with(stem)).take(20).map(String::as_str).collect();
    format!("nothing called {name:?} was measured; there are {}", near.join(", "))
}

fn aggregate(name: &str, values: &[f64]) -> Result<f64, String> {
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for value in values {
        sum += value;
        squares += value * value;
        count += 1.0;
    }
    match name {
        "sum" => Ok(sum),
        "mean" => Ok(sum / count),
        "count" => Ok(count),
        "min" => Ok(values.iter().copied().fold(f64::INFINITY, f64::min)),
        "max" => Ok(values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        // Jain, Chiu and Hawe 1984.
        "jain" => Ok(sum * sum / (count * squares)),
        _ => Err(format!("no function {name:?}: choose sum, mean, min, max, count or jain")),
    }
}

/// Whether a name with stars stands for `text`.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut tail) = text.strip_prefix(head) else { return false };
    loop {
        if matches(rest, tail) {
            return true;
        }
        let mut chars = tail.chars();
        if chars.next().is_none() {
            return false;
        }
        tail = chars.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<f64, String> {
        let values = |a: f64| {
            let rows = [("flow.x.0.rate", a), ("flow.x.1.rate", 3.0), ("link.l-1.loss", 0.5)];
            rows.into_iter().map(|(n, v)| (n.to_owned(), v)).collect::<Values>()
        };
        let cases = BTreeMap::from([("a".to_owned(), values(1.0)), ("b".to_owned(), values(7.0))]);
        evaluate(text, Scope { cases: &cases, case: "a" })
    }

    #[test]
    fn expressions_are_computed() {
        for (text, expected) in [
            ("1 + 2 * 3 - 4 / 2", 5.0),
            ("( 1 + 2 ) * 3", 9.0),
            ("sum(flow.x.*.rate)", 4.0),
            ("mean(flow.*.rate, link.l-1.loss) * 2", 3.0),
            ("b:flow.x.0.rate / flow.x.1.rate - 7 / 3", 0.0),
            ("jain(flow.x.*.rate)", 0.8),
            ("max(flow.x.*.rate) - min(1, 2) + count(flow.x.*.rate)", 4.0),
        ] {
            let found = value(text).unwrap_or(f64::NAN);
            assert!((found - expected).abs() < 1e-9, "{text} is {found}");
        }
        assert_eq!(cases("b:x / sum(c:y.*)"), ["b", "c"]);
        assert!(needs_a_case("b:x.y - 2 * x.y") && !needs_a_case("b:x.y * 0.5"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("flow.x.2.rate", "there are flow.x.0.rate, flow.x.1.rate"),
            ("flow.x.*.rate", "2 values"),
            ("median(1)", "choose sum"),
            ("1 +", "ends early"),
            ("( 1", "not closed"),
            ("1 2", "\"2\" was not expected"),
            ("c:x", "no case \"c\""),
        ] {
            let error = value(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
