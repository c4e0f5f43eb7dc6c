//! Rust source as the rules see it: tokens with their lines, without comments, each known to be a test's or not.

use crate::lexer::{Tree, closing, trees};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One file below `src`.
pub struct Source {
    /// From `src`, as in `disk/real.rs`.
    pub path: PathBuf,
    pub tokens: Vec<Token>,
    /// Lines that belong to no test.
    pub lines: usize,
    /// Modules declared here for tests alone.
    test_modules: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub text: String,
    pub is_ident: bool,
    pub line: usize,
    pub in_test: bool,
    /// Modules between this and the crate's root.
    depth: usize,
}

/// A path with every group in it written out: `a::{b, c::d}` is `a::b` and `a::c::d`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamePath {
    pub segments: Vec<String>,
    pub line: usize,
    pub in_test: bool,
    /// Whether it stands right after `use` or `extern crate`.
    pub is_import: bool,
    depth: usize,
}

impl Token {
    /// Words that stand before a path and are no part of it.
    fn is_keyword(&self) -> bool {
        const KEYWORDS: [&str; 18] = [
            "as", "break", "const", "dyn", "else", "fn", "for", "if", "impl", "in", "let", "match", "mut", "return",
            "unsafe", "use", "where", "while",
        ];
        KEYWORDS.contains(&self.text.as_str())
    }
}

impl NamePath {
    /// Whether these names follow each other in it.
    pub fn has(&self, names: &[&str]) -> bool {
        self.segments.windows(names.len()).any(|window| window == names)
    }

    /// The room of our own crate that it leads to, if it says so.
    pub fn room(&self) -> Option<&str> {
        let supers = self.segments.iter().take_while(|segment| *segment == "super").count();
        let at = match self.segments[0].as_str() {
            "crate" | "cctv_custodian" => 1,
            "super" if supers == self.depth => supers,
            _ => return None,
        };
        self.segments.get(at).map(String::as_str)
    }
}

impl Source {
    pub fn parse(path: impl AsRef<Path>, text: &str) -> Self {
        let path = path.as_ref().to_path_buf();
        let trees = trees(text).unwrap_or_else(|line| panic!("{}:{line}: brackets do not match", path.display()));
        let depth = match path.to_str() {
            Some("lib.rs" | "main.rs") => 0,
            _ => path.components().count(),
        };
        let mut reader = Reader { tokens: Vec::new(), test_lines: BTreeSet::new(), test_modules: Vec::new() };
        let all_test = starts_with_inner_cfg_test(&trees);
        reader.read(&trees, all_test, depth);
        let total = text.lines().count();
        let lines = if all_test { 0 } else { total.saturating_sub(reader.test_lines.len()) };
        Self { path, tokens: reader.tokens, lines, test_modules: reader.test_modules }
    }

    /// Every file below `dir`; files of modules that are declared for tests alone are wholly tests.
    pub fn tree(dir: &Path) -> Vec<Self> {
        let mut files = Vec::new();
        walk(dir, &mut files);
        files.sort();
        let mut sources: Vec<_> = files
            .iter()
            .map(|file| Source::parse(file.strip_prefix(dir).unwrap(), &fs::read_to_string(file).unwrap()))
            .collect();
        let test_files: Vec<PathBuf> = sources
            .iter()
            .flat_map(|source| source.test_modules.iter().map(|module| source.module_dir().join(module)))
            .collect();
        for source in &mut sources {
            if test_files
                .iter()
                .any(|module| source.path.with_extension("") == *module || source.path.starts_with(module))
            {
                source.lines = 0;
                source.tokens.iter_mut().for_each(|token| token.in_test = true);
            }
        }
        sources
    }

    /// The directory of the modules that are declared in this file.
    fn module_dir(&self) -> PathBuf {
        match self.path.to_str() {
            Some("lib.rs" | "main.rs") => PathBuf::new(),
            _ => self.path.with_extension(""),
        }
    }

    /// The name of the room that the file is part of.
    pub fn room(&self) -> String {
        let first = self.path.components().next().unwrap();
        Path::new(first.as_os_str()).with_extension("").to_str().unwrap().to_owned()
    }

    /// Tokens of the program itself.
    pub fn program(&self) -> Vec<&Token> {
        self.tokens.iter().filter(|token| !token.in_test).collect()
    }

    pub fn paths(&self) -> Vec<NamePath> {
        let mut paths = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let token = &self.tokens[at];
            if token.is_ident && self.begins_path(at) {
                let is_import = at > 0 && matches!(self.tokens[at - 1].text.as_str(), "use" | "crate")
                    || at > 1 && self.tokens[at - 1].text == "::" && self.tokens[at - 2].text == "use";
                let mut found = Vec::new();
                at = self.path_at(at, &mut Vec::new(), &mut found);
                paths.extend(found.into_iter().map(|segments| NamePath {
                    segments,
                    line: token.line,
                    in_test: token.in_test,
                    is_import,
                    depth: token.depth,
                }));
            } else {
                at += 1;
            }
        }
        paths
    }

    /// A name begins a path unless it goes on one, or is a field or a method.
    fn begins_path(&self, at: usize) -> bool {
        let before = |back: usize| at.checked_sub(back).map(|index| &self.tokens[index]);
        if self.tokens[at].is_keyword() {
            return false;
        }
        match before(1) {
            Some(last) if last.text == "." => false,
            Some(last) if last.text == "::" => {
                !before(2).is_some_and(|it| it.is_ident && !it.is_keyword() || it.text == ">")
            }
            _ => true,
        }
    }

    /// Reads a path or one branch of a `use` tree; returns the index after it.
    fn path_at(&self, mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
        let depth = prefix.len();
        let text = |index: usize| self.tokens.get(index).map_or("", |token| token.text.as_str());
        loop {
            prefix.push(text(at).to_owned());
            at += 1;
            if text(at) != "::" {
                break;
            }
            match self.tokens.get(at + 1) {
                Some(next) if next.is_ident || next.text == "*" => at += 1,
                Some(next) if next.text == "{" => {
                    at = self.group_at(at + 2, prefix, found);
                    prefix.truncate(depth);
                    return at;
                }
                _ => break,
            }
        }
        found.push(prefix.clone());
        prefix.truncate(depth);
        at
    }

    /// Reads the branches of a `use` tree from after its `{` to after its `}`.
    fn group_at(&self, mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
        while let Some(token) = self.tokens.get(at) {
            match token.text.as_str() {
                "}" => return at + 1,
                "," | "::" => at += 1,
                "as" => at += 2,
                _ => at = self.path_at(at, prefix, found),
            }
        }
        at
    }
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

struct Reader {
    tokens: Vec<Token>,
    test_lines: BTreeSet<usize>,
    test_modules: Vec<String>,
}

impl Reader {
    fn read(&mut self, trees: &[Tree], in_test: bool, depth: usize) {
        let mut at = 0;
        while at < trees.len() {
            if !in_test && is_cfg_test(&trees[at..]) {
                let end = at + item_length(&trees[at..]);
                self.test_lines.extend(trees[at].first_line()..=trees[end - 1].last_line());
                self.note_test_module(&trees[at..end]);
                self.read(&trees[at..end], true, depth);
                at = end;
            } else {
                self.read_tree(trees, at, in_test, depth);
                at += 1;
            }
        }
    }

    fn read_tree(&mut self, trees: &[Tree], at: usize, in_test: bool, depth: usize) {
        let mut push = |text: &str, is_ident: bool, line: usize| {
            self.tokens.push(Token { text: text.to_owned(), is_ident, line, in_test, depth });
        };
        match &trees[at] {
            Tree::Word(word, line) => push(word, true, *line),
            Tree::Mark(mark, line) => push(mark, false, *line),
            Tree::Literal(line) => push("\"\"", false, *line),
            Tree::Group { open, inner, first_line, last_line } => {
                push(open, false, *first_line);
                let is_module = *open == "{" && at >= 2 && trees[at - 2].is_word("mod");
                self.read(inner, in_test, depth + usize::from(is_module));
                let text = closing(open).to_owned();
                self.tokens.push(Token { text, is_ident: false, line: *last_line, in_test, depth });
            }
        }
    }

    fn note_test_module(&mut self, item: &[Tree]) {
        if let [.., word, Tree::Word(name, _), end] = item
            && word.is_word("mod")
            && end.is_mark(";")
        {
            self.test_modules.push(name.clone());
        }
    }
}

fn starts_with_inner_cfg_test(trees: &[Tree]) -> bool {
    trees
        .windows(3)
        .take(64)
        .any(|window| window[0].is_mark("#") && window[1].is_mark("!") && is_test_condition(&window[2]))
}

fn is_cfg_test(trees: &[Tree]) -> bool {
    matches!(trees, [hash, condition, ..] if hash.is_mark("#") && is_test_condition(condition))
}

/// `[cfg(test)]`, or `[cfg(all(…, test, …))]`.
fn is_test_condition(tree: &Tree) -> bool {
    let Tree::Group { open: "[", inner, .. } = tree else { return false };
    let [cfg, Tree::Group { inner: condition, .. }] = &inner[..] else { return false };
    cfg.is_word("cfg")
        && match &condition[..] {
            [one] => one.is_word("test"),
            [all, Tree::Group { inner: parts, .. }] if all.is_word("all") => {
                parts.iter().any(|part| part.is_word("test"))
            }
            _ => false,
        }
}

/// How many trees an item has, its attributes included.
fn item_length(trees: &[Tree]) -> usize {
    const ITEMS: [&str; 12] =
        ["fn", "impl", "struct", "enum", "mod", "use", "const", "static", "trait", "type", "let", "macro_rules"];
    let mut at = 0;
    while trees.get(at).is_some_and(|tree| tree.is_mark("#")) {
        at += 2;
    }
    let begins = &trees[at..trees.len().min(at + 4)];
    let is_use = begins.iter().any(|tree| tree.is_word("use"));
    let is_item = begins.iter().any(|tree| ITEMS.iter().any(|item| tree.is_word(item)));
    while let Some(tree) = trees.get(at) {
        at += 1;
        match tree {
            Tree::Group { open: "{", .. } if !is_use => break,
            Tree::Mark(";", _) => break,
            Tree::Mark(",", _) if !is_item => break,
            _ => {}
        }
    }
    at
}
