//! The templates of letters: those of the program, and those that a site puts in their place.
//!
//! A site's own stand in `letters/` of its directory, as `refusal.ko.html`. One that is broken is named with its line, and
//! the program's is used: no letter stays unwritten for it. Every value is escaped, since names are anybody's words; what
//! would take that off (`safe`, `autoescape`) is refused. What a template may use stands in docs/letters.md.

use super::told::LetterText;
use crate::crypto::sha256;
use crate::disk::{SharedDisk, read_file};
use crate::domain::{Digest, Language, LetterKind};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The directory in the site's own.
const DIR: &str = "letters";
const FILE_LIMIT_BYTES: u64 = 64 << 10;
/// Steps that a template may take: one that runs for ever is broken, too.
const FUEL: u64 = 200_000;
/// What a template is told by that it stands on the base.
const EXTENDS: &str = "extends";
/// What the letter's template is called beside the base.
const LETTER: &str = "letter";
/// What switches the escaping off, besides the filter `safe`, which there is none of.
const UNESCAPED: &str = "autoescape";

macro_rules! built_in {
    ($kind:expr, $language:expr; $($of:ident $name:literal),*) => {
        match ($kind, $language) {
            $((LetterKind::$of, Language::Ko) => include_str!(concat!("templates/", $name, ".ko.html")),
            (LetterKind::$of, Language::En) => include_str!(concat!("templates/", $name, ".en.html")),)*
        }
    };
}

/// The program's own template.
fn built_in(kind: LetterKind, language: Language) -> &'static str {
    built_in!(kind, language; Receipt "receipt", Grant "grant", Partial "partial", Postponement "postponement",
        Refusal "refusal")
}

/// What they have in common: head and foot, in blocks that each template fills.
fn built_in_base(language: Language) -> &'static str {
    match language {
        Language::Ko => include_str!("templates/base.ko.html"),
        Language::En => include_str!("templates/base.en.html"),
    }
}

fn base_name(language: Language) -> String {
    format!("base.{language}.html")
}

fn file_name(kind: LetterKind, language: Language) -> String {
    format!("{kind}.{language}.html")
}

/// Why a site's template is not used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrokenTemplate {
    pub file: PathBuf,
    pub line: Option<usize>,
    pub what: String,
}

impl fmt::Display for BrokenTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(
            f,
            ": {}; mend it, or take the file away. Until then letters are written from the program's own template",
            self.what
        )
    }
}

/// A letter as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Written {
    pub html: String,
    /// Of the site's own template; `None` where the program's was used.
    pub template: Option<Digest>,
    pub broken: Option<BrokenTemplate>,
}

/// A site's templates.
#[derive(Debug)]
pub struct LetterTemplates {
    disk: SharedDisk,
    dir: PathBuf,
    /// What was wrong with each when it was used last.
    broken: Mutex<BTreeMap<PathBuf, BrokenTemplate>>,
}

impl LetterTemplates {
    /// Those of the site in `dir`.
    pub fn of_site(disk: SharedDisk, dir: &Path) -> Self {
        Self { disk, dir: dir.join(DIR), broken: Mutex::default() }
    }

    /// Those of the site whose state this is.
    pub(in crate::access) fn beside(disk: SharedDisk, state: &Path) -> Self {
        Self::of_site(disk, state.parent().unwrap_or(state))
    }

    /// Where a template stands, whether there is one or not.
    pub fn path(&self, kind: LetterKind, language: Language) -> PathBuf {
        self.dir.join(file_name(kind, language))
    }

    /// The program's own templates, by where a site would put its own.
    pub fn defaults(&self) -> Vec<(PathBuf, &'static str)> {
        let all = LetterKind::ALL.into_iter().flat_map(|kind| Language::ALL.map(|language| (kind, language)));
        let bases = Language::ALL.map(|language| (self.dir.join(base_name(language)), built_in_base(language)));
        all.map(|(kind, language)| (self.path(kind, language), built_in(kind, language))).chain(bases).collect()
    }

    /// Writes a letter from the site's template, or from the program's where there is none or it is broken.
    pub(super) fn write(
        &self,
        (kind, language): (LetterKind, Language),
        text: &LetterText,
    ) -> Result<Written, BrokenTemplate> {
        let path = self.path(kind, language);
        let broken = match self.own((kind, language), text) {
            Ok(Some((html, digest))) => {
                self.note(&path, None);
                return Ok(Written { html, template: Some(digest), broken: None });
            }
            Ok(None) => None,
            Err(broken) => {
                tracing::error!(broken = %broken, "a template of letters is broken");
                Some(broken)
            }
        };
        self.note(&path, broken.clone());
        let own = |file: &str, source| Source { file: Path::new("built in").join(file), source };
        let base = own(&base_name(language), built_in_base(language));
        let letter = own(&file_name(kind, language), built_in(kind, language));
        let html = render((&base_name(language), &base), &letter, text)?;
        Ok(Written { html, template: None, broken })
    }

    /// A letter from the site's template, on the site's base; either may be the program's.
    fn own(
        &self,
        (kind, language): (LetterKind, Language),
        text: &LetterText,
    ) -> Result<Option<(String, Digest)>, BrokenTemplate> {
        let (path, base_name) = (self.path(kind, language), base_name(language));
        let base_path = self.dir.join(&base_name);
        let (letter, base) = (self.read(&path)?, self.read(&base_path)?);
        let is_extended = letter.as_ref().is_none_or(|letter| letter.contains(EXTENDS));
        // A letter that is whole by itself has nothing of the base.
        let base = base.filter(|_| is_extended);
        if letter.is_none() && base.is_none() {
            return Ok(None);
        }
        let digest = sha256([letter.as_deref(), base.as_deref()].map(Option::unwrap_or_default).concat().as_bytes());
        let letter = Source { file: path, source: letter.as_deref().unwrap_or(built_in(kind, language)) };
        let base = Source { file: base_path, source: base.as_deref().unwrap_or(built_in_base(language)) };
        Ok(Some((render((&base_name, &base), &letter, text)?, digest)))
    }

    /// A file of the site, where there is one.
    fn read(&self, path: &Path) -> Result<Option<String>, BrokenTemplate> {
        let broken = |what: String| BrokenTemplate { file: path.to_path_buf(), line: None, what };
        let bytes = match read_file(&*self.disk, path, FILE_LIMIT_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(broken(e.to_string())),
        };
        String::from_utf8(bytes).map(Some).map_err(|_| broken("is not UTF-8 text".to_owned()))
    }

    fn note(&self, path: &Path, broken: Option<BrokenTemplate>) {
        let mut known = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        match broken {
            Some(broken) => known.insert(path.to_path_buf(), broken),
            None => known.remove(path),
        };
    }

    /// Tries every template of the site on made-up letters, and tells what is broken.
    pub fn check(&self) -> Vec<BrokenTemplate> {
        let mut found = Vec::new();
        for kind in LetterKind::ALL {
            for language in Language::ALL {
                let path = self.path(kind, language);
                // A letter with everything in it, and one with the least: each part of a template is walked once.
                let told = LetterText::samples(kind, language)
                    .iter()
                    .try_for_each(|text| self.own((kind, language), text).map(drop));
                self.note(&path, told.as_ref().err().cloned());
                found.extend(told.err());
            }
        }
        found
    }

    pub(in crate::access) fn alarms(&self) -> Vec<String> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.values().map(ToString::to_string).collect()
    }
}

/// A template, and the file to name where it is broken.
struct Source<'a> {
    file: PathBuf,
    source: &'a str,
}

fn render((base_name, base): (&str, &Source), letter: &Source, text: &LetterText) -> Result<String, BrokenTemplate> {
    for of in [letter, base] {
        if let Some(line) = of.source.lines().position(|line| line.contains(UNESCAPED)) {
            let what = format!("uses `{UNESCAPED}`, and what people wrote must not become markup");
            return Err(BrokenTemplate { file: of.file.clone(), line: Some(line + 1), what });
        }
    }
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_fuel(Some(FUEL));
    environment.remove_filter("safe");
    let told = environment
        .add_template(base_name, base.source)
        .and_then(|()| environment.add_template(LETTER, letter.source))
        .and_then(|()| environment.get_template(LETTER))
        .and_then(|template| template.render(Serde(text)));
    told.map_err(|e| {
        let what = e.detail().map_or_else(|| e.kind().to_string(), |detail| format!("{}: {detail}", e.kind()));
        let of = if e.name() == Some(base_name) { base } else { letter };
        BrokenTemplate { file: of.file.clone(), line: e.line(), what }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use std::sync::Arc;

    fn templates() -> (tempfile::TempDir, LetterTemplates) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(DIR)).unwrap();
        let templates = LetterTemplates::of_site(Arc::new(RealDisk), dir.path());
        (dir, templates)
    }

    fn sample(kind: LetterKind) -> LetterText {
        LetterText::samples(kind, Language::En).remove(0)
    }

    fn write(templates: &LetterTemplates) -> Written {
        templates.write((LetterKind::Refusal, Language::En), &sample(LetterKind::Refusal)).unwrap()
    }

    #[test]
    fn the_programs_own_templates_write_every_letter_with_every_field() {
        let (_dir, templates) = templates();
        for kind in LetterKind::ALL {
            for language in Language::ALL {
                for text in LetterText::samples(kind, language) {
                    let written = templates.write((kind, language), &text).unwrap();
                    assert!(written.broken.is_none() && written.template.is_none());
                    for wanted in text.must_be_told(kind) {
                        let wanted = html_escaped(&wanted);
                        assert!(written.html.contains(&wanted), "{kind} {language}: {wanted}\n{}", written.html);
                    }
                    assert!(!written.html.contains("none") && !written.html.contains("undefined"), "{}", written.html);
                }
            }
        }
    }

    fn html_escaped(text: &str) -> String {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.add_template("t", "{{ text }}").unwrap();
        environment.get_template("t").unwrap().render(Serde(BTreeMap::from([("text", text)]))).unwrap()
    }

    #[test]
    fn a_name_is_text_whatever_stands_in_it() {
        let (_dir, templates) = templates();
        let mut text = sample(LetterKind::Refusal);
        text.person.name = "<script>alert(1)</script>{{ site.name }}\" onload=\"x".into();
        let written = templates.write((LetterKind::Refusal, Language::En), &text).unwrap();
        assert!(!written.html.contains("<script") && written.html.contains("&lt;script&gt;"), "{}", written.html);
        assert!(written.html.contains("{{ site.name }}"), "it is no template");
        assert!(!written.html.contains("\" onload"));
    }

    #[test]
    fn a_sites_own_template_is_used_and_its_change_shows() {
        let (_dir, templates) = templates();
        let path = templates.path(LetterKind::Refusal, Language::En);
        std::fs::write(&path, "<p>Dear {{ person.name }}: no.</p>").unwrap();
        let first = write(&templates);
        assert!(first.html.contains(": no.</p>") && first.template.is_some());
        std::fs::write(&path, "<p>Dear {{ person.name }}: no!</p>").unwrap();
        assert_ne!(write(&templates).template, first.template);
    }

    #[test]
    fn a_site_may_change_what_letters_have_in_common_or_write_a_letter_that_is_whole_by_itself() {
        let (_dir, templates) = templates();
        let base = templates.dir.join("base.en.html");
        let own = built_in_base(Language::En).replace("</div>", "<p>Member of the Clinics' Union</p></div>");
        std::fs::write(&base, own).unwrap();
        let written = write(&templates);
        assert!(written.html.contains("Clinics' Union") && written.html.contains("How to object"), "{}", written.html);
        let on_base = written.template.unwrap();
        // With a letter of its own on that base.
        let path = templates.path(LetterKind::Refusal, Language::En);
        std::fs::write(&path, "{% extends \"base.en.html\" %}{% block opening %}No, {{ person.name }}.{% endblock %}")
            .unwrap();
        let written = write(&templates);
        assert!(written.html.contains("Clinics' Union") && written.html.contains("No, Hong Gildong."));
        assert_ne!(written.template, Some(on_base));
        // As sites have written theirs before there was a base.
        let whole = "<p>Dear {{ person.name }}: no.</p>";
        std::fs::write(&path, whole).unwrap();
        let written = write(&templates);
        assert_eq!(
            (written.html.as_str(), written.template),
            ("<p>Dear Hong Gildong: no.</p>", Some(sha256(whole.as_bytes())))
        );
        std::fs::remove_file(&path).unwrap();
        // A broken base is named itself, and the program's letters are written.
        std::fs::write(&base, "<p>\n{{ site.nmae }}</p>{% block title %}{% endblock %}").unwrap();
        let written = write(&templates);
        let broken = written.broken.unwrap();
        assert_eq!((&broken.file, broken.line), (&base, Some(2)), "{broken}");
        assert!(written.html.contains("How to object") && written.template.is_none());
        assert_eq!(templates.check().len(), 5, "every English letter stands on it");
        // Nothing else can be drawn in.
        std::fs::write(&base, "{% include \"/etc/passwd\" %}").unwrap();
        assert!(write(&templates).broken.is_some());
    }

    #[test]
    fn a_broken_template_is_named_with_its_line_and_the_programs_is_used() {
        let (_dir, templates) = templates();
        let path = templates.path(LetterKind::Refusal, Language::En);
        for (source, line, what) in [
            ("<p>\n{{ person.nmae }}</p>", Some(2), "undefined"),
            ("<p>\n\n{% if person.name %}</p>", Some(3), ""),
            ("a\n{{ person.name | safe }}", Some(2), "safe"),
            ("{% autoescape false %}{{ person.name }}{% endautoescape %}", Some(1), "autoescape"),
            ("{{ person.name | shout }}", Some(1), "filter"),
            ("{% for a in range(9999) %}{% for b in range(9999) %}.{% endfor %}{% endfor %}", None, "fuel"),
        ] {
            std::fs::write(&path, source).unwrap();
            let written = write(&templates);
            let broken = written.broken.clone().unwrap_or_else(|| panic!("{source}: {}", written.html));
            assert!(line.is_none() || broken.line == line, "{source}: {broken}");
            let told = broken.to_string();
            assert!(told.contains(what) && told.contains("refusal.en.html") && told.contains("mend it"), "{told}");
            assert!(written.html.contains("<table") && written.template.is_none(), "the program's own");
            assert_eq!(templates.alarms(), [told]);
        }
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(write(&templates).broken.unwrap().to_string().contains("UTF-8"));
        std::fs::write(&path, "x".repeat(65 << 10)).unwrap();
        assert!(write(&templates).broken.is_some());
        std::fs::remove_file(&path).unwrap();
        assert!(write(&templates).broken.is_none() && templates.alarms().is_empty());
    }

    #[test]
    fn all_of_a_sites_templates_can_be_checked_before_any_letter_is_written() {
        let (_dir, templates) = templates();
        assert_eq!(templates.check(), []);
        for (path, source) in templates.defaults() {
            std::fs::write(path, source).unwrap();
        }
        assert_eq!(templates.check(), [], "as they are written out");
        std::fs::write(templates.path(LetterKind::Grant, Language::Ko), "{{ decision.granted_by }}").unwrap();
        // A part that is shown in some letters alone.
        let hidden = "{% if decision.appointment is none %}{{ decision.appointed }}{% endif %}";
        std::fs::write(templates.path(LetterKind::Grant, Language::En), hidden).unwrap();
        assert_eq!(templates.check().len(), 2);
    }
}
