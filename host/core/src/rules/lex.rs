//! The words of an expression, with their places.

/// One word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A point name, a key word or a unit.
    Word(&'a str),
    Number(f64),
    /// What stood between quotes.
    Text(&'a str),
    /// `<`, `<=`, `>`, `>=`, `==`, `!=`.
    Relation(Relation),
    Open,
    Close,
    Comma,
    /// Behind the last word.
    End,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Differs,
}

/// The token that begins at or after byte `at`: where it begins, what it is,
/// where it ends. `Err` is the place and what is wrong with it.
pub(super) fn next(text: &str, at: usize) -> Result<(usize, Token<'_>, usize), (usize, String)> {
    let rest = text.get(at..).unwrap_or_default();
    let skipped = rest.len() - rest.trim_start().len();
    let (start, rest) = (at + skipped, rest.trim_start());
    let Some(first) = rest.chars().next() else { return Ok((start, Token::End, start)) };
    let one = |token, len: usize| Ok((start, token, start + len));
    match first {
        '(' => one(Token::Open, 1),
        ')' => one(Token::Close, 1),
        ',' => one(Token::Comma, 1),
        '\'' | '"' => {
            let body = &rest[1..];
            match body.find(first) {
                Some(len) => one(Token::Text(&body[..len]), len + 2),
                None => Err((start, format!("the text that begins here has no closing {first}"))),
            }
        }
        '<' | '>' | '=' | '!' => relation(rest)
            .map(|(relation, len)| (start, Token::Relation(relation), start + len))
            .ok_or_else(|| (start, format!("{first:?} alone means nothing; use == or !="))),
        '-' | '0'..='9' => number(rest, start),
        c if c.is_alphabetic() || matches!(c, '%' | '°') => {
            let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
            one(Token::Word(&rest[..end]), end)
        }
        other => Err((start, format!("{other:?} has no meaning here"))),
    }
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '%' | '°')
}

fn relation(rest: &str) -> Option<(Relation, usize)> {
    let two = match rest.get(..2) {
        Some("<=") => Some(Relation::AtMost),
        Some(">=") => Some(Relation::AtLeast),
        Some("==") => Some(Relation::Equal),
        Some("!=") => Some(Relation::Differs),
        _ => None,
    };
    two.map(|relation| (relation, 2)).or(match rest.as_bytes().first() {
        Some(b'<') => Some((Relation::Less, 1)),
        Some(b'>') => Some((Relation::Greater, 1)),
        _ => None,
    })
}

fn number(rest: &str, start: usize) -> Result<(usize, Token<'_>, usize), (usize, String)> {
    let signed = usize::from(rest.starts_with('-'));
    let digits = |from: usize| {
        let tail = rest.get(from..).unwrap_or_default();
        tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len())
    };
    let mut end = signed + digits(signed);
    if rest[end..].starts_with('.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    match rest[..end].parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((start, Token::Number(number), start + end)),
        _ => Err((start, format!("{:?} is not a number", &rest[..end.max(1)]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<Token<'_>>, (usize, String)> {
        let (mut at, mut words) = (0, Vec::new());
        loop {
            match next(text, at)? {
                (_, Token::End, _) => return Ok(words),
                (_, token, end) => {
                    words.push(token);
                    at = end;
                }
            }
        }
    }

    #[test]
    fn words_numbers_and_texts_are_told_apart() {
        let wanted = [
            Token::Word("string.1.block.3.true-bound"),
            Token::Relation(Relation::AtLeast),
            Token::Number(-2.5),
            Token::Word("°C"),
            Token::Word("has"),
            Token::Text("OB x"),
            Token::Close,
        ];
        let text = "string.1.block.3.true-bound>=-2.5°C has 'OB x')";
        assert_eq!(words(text).as_deref(), Ok(&wanted[..]));
        assert_eq!(words("20%"), Ok(vec![Token::Number(20.0), Token::Word("%")]));
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for (text, at, why) in [
            ("a = 1", 2, "use =="),
            ("a == 'x", 5, "no closing"),
            ("a § b", 2, "has no meaning"),
            ("a < -", 4, "not a number"),
        ] {
            let (place, reason) = words(text).expect_err(text);
            assert_eq!(place, at, "{text}");
            assert!(reason.contains(why), "{text}: {reason}");
        }
    }
}
