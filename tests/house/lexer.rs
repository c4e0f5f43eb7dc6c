//! Rust text to token trees with lines: as much of the language as the rules ask for. Comments are left out, and what
//! stands in a text or a character is not looked at. No crate does this here: the one that would changes a feature below
//! every derive macro, and so builds the whole tree a second time.

/// A token, or what stands between two brackets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tree {
    /// A name, a keyword or `_`; raw ones without their `r#`.
    Word(String, usize),
    /// `::`, or one character.
    Mark(&'static str, usize),
    /// A text, a character, a number or a lifetime.
    Literal(usize),
    Group {
        open: &'static str,
        inner: Vec<Tree>,
        first_line: usize,
        last_line: usize,
    },
}

impl Tree {
    pub fn first_line(&self) -> usize {
        match self {
            Tree::Word(_, line) | Tree::Mark(_, line) | Tree::Literal(line) => *line,
            Tree::Group { first_line, .. } => *first_line,
        }
    }

    pub fn last_line(&self) -> usize {
        match self {
            Tree::Group { last_line, .. } => *last_line,
            _ => self.first_line(),
        }
    }

    pub fn is_word(&self, wanted: &str) -> bool {
        matches!(self, Tree::Word(word, _) if word == wanted)
    }

    pub fn is_mark(&self, wanted: &str) -> bool {
        matches!(self, Tree::Mark(mark, _) if *mark == wanted)
    }
}

/// The mark that closes a bracket.
pub fn closing(open: &str) -> &'static str {
    match open {
        "{" => "}",
        "[" => "]",
        _ => ")",
    }
}

/// # Errors
/// The line where a bracket closes nothing, or the last one when one is never closed.
pub fn trees(text: &str) -> Result<Vec<Tree>, usize> {
    let mut lexer = Lexer { rest: text, line: 1 };
    let mut open: Vec<(&'static str, usize, Vec<Tree>)> = vec![("", 1, Vec::new())];
    while let Some(tree) = lexer.next() {
        match tree {
            Tree::Mark(mark @ ("{" | "[" | "("), line) => open.push((mark, line, Vec::new())),
            Tree::Mark(mark @ ("}" | "]" | ")"), line) => {
                let (bracket, first_line, inner) = open.pop().ok_or(line)?;
                if bracket.is_empty() || closing(bracket) != mark {
                    return Err(line);
                }
                let group = Tree::Group { open: bracket, inner, first_line, last_line: line };
                open.last_mut().ok_or(line)?.2.push(group);
            }
            other => open.last_mut().ok_or(lexer.line)?.2.push(other),
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some((_, _, trees)), true) => Ok(trees),
        _ => Err(lexer.line),
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<Tree> {
        self.skip_blanks_and_comments();
        let line = self.line;
        let first = self.rest.chars().next()?;
        if let Some(length) = text_length(self.rest) {
            self.pass(length);
            return Some(Tree::Literal(line));
        }
        if first.is_alphabetic() || first == '_' || self.rest.starts_with("r#") {
            let word = self.rest.strip_prefix("r#").unwrap_or(self.rest);
            let word = &word[..word_length(word)];
            let whole = word.len() + if self.rest.starts_with("r#") { 2 } else { 0 };
            let word = word.to_owned();
            self.pass(whole);
            return Some(Tree::Word(word, line));
        }
        if first.is_ascii_digit() {
            self.pass(word_length(self.rest));
            return Some(Tree::Literal(line));
        }
        let mark = mark_of(self.rest);
        self.pass(if mark == "?" { first.len_utf8() } else { mark.len() });
        Some(Tree::Mark(mark, line))
    }

    fn pass(&mut self, length: usize) {
        self.line += self.rest[..length].matches('\n').count();
        self.rest = &self.rest[length..];
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            let comment = if self.rest[blanks..].starts_with("//") {
                self.rest[blanks..].find('\n').unwrap_or(self.rest.len() - blanks)
            } else {
                block_comment_length(&self.rest[blanks..])
            };
            if blanks + comment == 0 {
                return;
            }
            self.pass(blanks + comment);
        }
    }
}

/// 0 where none begins. They nest.
fn block_comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if depth == 0 {
            return at;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// How long the text, the character or the lifetime is that begins here, its prefix and hashes included.
fn text_length(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].iter().find(|prefix| {
        text.strip_prefix(**prefix).is_some_and(|rest| {
            rest.starts_with('"')
                || (rest.starts_with('\'') && matches!(**prefix, "" | "b"))
                || (prefix.ends_with('r') && rest.trim_start_matches('#').starts_with('"'))
        })
    })?;
    let body = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let inner = &body[hashes + 1..];
        return Some(prefix.len() + hashes + 1 + inner.find(&end).map_or(inner.len(), |at| at + end.len()));
    }
    let quote = body.chars().next()?;
    // 'a without a second quote behind its one character is a lifetime.
    let mut after = body[1..].chars();
    if quote == '\'' && after.next() != Some('\\') && after.next() != Some('\'') {
        return Some(1 + word_length(&body[1..]).max(1));
    }
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(prefix.len() + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

fn mark_of(text: &str) -> &'static str {
    const MARKS: [&str; 27] = [
        "::", "{", "}", "[", "]", "(", ")", ".", ",", ";", ":", "=", "!", "#", "<", ">", "|", "&", "*", "+", "-", "/",
        "%", "^", "$", "@", "~",
    ];
    MARKS.iter().copied().find(|mark| text.starts_with(mark)).unwrap_or("?")
}
