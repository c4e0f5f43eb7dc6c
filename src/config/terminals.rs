//! `[[terminals]]` of site.toml: the places where footage may be watched, by the addresses that requests from there have.

use super::document::{Document, Section};
use super::error::Fault;
use crate::domain::{Network, Terminal};

const NAME_LIMIT: usize = 60;
const ADDRESSES_LIMIT: usize = 64;
const ADDRESS_LIMIT: usize = 60;

pub(super) fn read_terminals(document: &Document<'_>, root: &mut Section<'_>) -> Vec<Terminal> {
    let mut terminals: Vec<Terminal> = Vec::new();
    for mut section in root.sections("terminals").unwrap_or_default() {
        let hint = "write what people call the place, such as \"front desk\"";
        let field = section.named("name");
        let name = section.line("name", NAME_LIMIT);
        let name = section.require("name", hint, name);
        let addresses = section.texts("addresses", ADDRESSES_LIMIT, ADDRESS_LIMIT);
        let hint = "write the addresses that requests from there have, such as [\"192.0.2.7\"]";
        let addresses = section.require("addresses", hint, addresses);
        section.finish();
        let mut networks: Vec<Network> = Vec::new();
        for written in addresses.unwrap_or_default() {
            match written.value.parse() {
                Ok(network) => networks.push(network),
                Err(e) => document.refuse(&written.field, Fault::NotANetwork(e)),
            }
        }
        let Some(name) = name.map(|found| found.value) else { continue };
        if terminals.iter().any(|known| known.name == name) {
            document.refuse(&field, Fault::TerminalTwice);
        }
        terminals.push(Terminal { name, addresses: networks });
    }
    terminals
}

#[cfg(test)]
mod tests {
    use crate::config::{Pace, Site};
    use std::os::unix::fs::PermissionsExt;

    fn load(text: &str) -> Result<Site, String> {
        let mine = std::fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(mine).tempdir().unwrap();
        std::fs::write(dir.path().join("site.toml"), format!("[site]\nname = \"S\"\n{text}")).unwrap();
        Site::load(dir.path(), Pace::Real).map_err(|e| e.to_string())
    }

    #[test]
    fn places_are_named_with_the_addresses_that_requests_from_there_have() {
        assert!(load("").unwrap().terminals.is_empty());
        let text = "[[terminals]]\nname = \"서버실\"\naddresses = [\"192.0.2.7\", \"fd00::/64\"]\n\
                    [[terminals]]\nname = \"front desk\"\naddresses = [\"192.0.2.8/31\"]\n";
        let site = load(text).unwrap();
        assert_eq!(site.terminals.len(), 2);
        assert_eq!(site.terminals[0].name, "서버실");
        assert!(
            site.terminals[0].has("fd00::9".parse().unwrap()) && !site.terminals[0].has("192.0.2.8".parse().unwrap())
        );
        assert!(site.terminals[1].has("192.0.2.9".parse().unwrap()));
    }

    #[test]
    fn what_is_wrong_with_a_place_is_told_with_its_line() {
        let cases = [
            ("[[terminals]]\naddresses = [\"192.0.2.7\"]", ":3:", "front desk"),
            ("[[terminals]]\nname = \"a\"", ":3:", "addresses"),
            ("[[terminals]]\nname = \"a\"\naddresses = []", ":5:", "empty"),
            ("[[terminals]]\nname = \"a\"\naddresses = \"192.0.2.7\"", ":5:", "list of texts"),
            ("[[terminals]]\nname = \"a\"\naddresses = [\"192.0.2.7\",\n\"192.0.2.300\"]", ":6:", "192.0.2.0/28"),
            ("[[terminals]]\nname = \"a\"\naddresses = [7]", ":5:", "text in quotes"),
            (
                "[[terminals]]\nname = \"a\"\naddresses = [\"::1\"]\n[[terminals]]\nname = \"a\"\naddresses = [\"::2\"]",
                ":7:",
                "twice",
            ),
            ("[[terminals]]\nname = \"a\"\naddress = [\"::1\"]", ":5:", "name, addresses"),
        ];
        for (text, place, words) in cases {
            let told = load(text).unwrap_err();
            assert!(told.contains(place) && told.contains(words), "{text}: {told}");
        }
    }
}
