//! Going about in the pages, and what every page must be, whatever it shows.

use super::browser::Browser;
use super::site::password;
use anyhow::{Result, ensure};
use serde_json::json;

const WIDTHS: [u32; 2] = [1280, 390];
pub const NAME: &str = "Hong Gildong";
pub const CONTACT: &str = "010-1234-5678";

/// Faults that can be seen by a machine: of language, labels, targets too small for a finger, and pages too wide.
const LOOK: &str = r"
    const [language] = arguments;
    const faults = [];
    const seen = (e) => e.offsetParent !== null;
    const name = (e) => e.outerHTML.slice(0, 80);
    if (document.documentElement.lang !== language) faults.push(`lang is ${document.documentElement.lang}`);
    if (document.title === '' || document.title.startsWith(' ')) faults.push('no title');
    if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
    const wide = document.documentElement.scrollWidth - innerWidth;
    if (wide > 0) faults.push(`${wide} px too wide`);
    for (const e of document.querySelectorAll('input, select, textarea')) {
      if (seen(e) && e.labels.length === 0 && !e.ariaLabel) faults.push(`no label: ${name(e)}`);
    }
    for (const e of document.querySelectorAll('a, button, summary, input, select, textarea')) {
      const target = /^(radio|checkbox)$/.test(e.type) ? e.labels[0] : e;
      const { width, height } = target.getBoundingClientRect();
      if (seen(e) && (height < 43.5 || width < 43.5)) faults.push(`${width}x${height}: ${name(e)}`);
    }
    for (const e of document.querySelectorAll('table')) {
      if (!e.caption || [...e.querySelectorAll('thead th')].some((th) => th.scope !== 'col')) faults.push(`table: ${name(e)}`);
    }
    return faults;";

pub fn sign_in(browser: &Browser, name: &str) -> Result<()> {
    sign_in_with(browser, name, &password(name))
}

pub fn sign_in_with(browser: &Browser, name: &str, password: &str) -> Result<()> {
    browser.type_into("#sign-in input[name=name]", name)?;
    browser.type_into("#sign-in input[name=password]", password)?;
    browser.click("#sign-in button")?;
    browser.wait_for_element("#who")?;
    wait_for_page(browser)
}

pub fn sign_out(browser: &Browser) -> Result<()> {
    browser.click("#sign-out")?;
    browser.wait_for_element("#sign-in")
}

pub fn wait_for_page(browser: &Browser) -> Result<()> {
    let script =
        "return document.querySelector('main h1') !== null && document.querySelector('main .loading') === null";
    browser.wait_for("the page is there", script, &json!([])).map(drop)
}

pub fn open(browser: &Browser, path: &str) -> Result<()> {
    browser.run("location.hash = `#/${arguments[0]}`", &json!([path]))?;
    browser.wait_for("its address is open", "return location.hash === `#/${arguments[0]}`", &json!([path]))?;
    wait_for_page(browser)
}

pub fn switch_language(browser: &Browser) -> Result<()> {
    let before = browser.run("return document.documentElement.lang", &json!([]))?;
    browser.click("#language")?;
    browser.wait_for(
        "the language is another",
        "return document.documentElement.lang !== arguments[0]",
        &json!([before]),
    )?;
    wait_for_page(browser)
}

/// Looks at the open page on a screen and on a phone, in both languages, and leaves it as it was.
pub fn look_over(browser: &Browser, is_demo: bool) -> Result<()> {
    for _ in 0..2 {
        let language = browser.run("return document.documentElement.lang", &json!([]))?;
        for width in WIDTHS {
            browser.set_size(width, 844)?;
            let faults = browser.run(LOOK, &json!([language]))?;
            ensure!(faults == json!([]), "{width} px, {language}, {}: {faults}", browser.text("h1")?);
            ensure!(browser.has("#demo")? == is_demo, "the banner of the demonstration: wanted {is_demo}");
        }
        switch_language(browser)?;
    }
    browser.set_size(1280, 900)
}

/// Nothing went wrong that was not meant to: each answer that is an error is named by its path's end and its status.
pub fn assert_quiet(browser: &Browser, meant: &[(&str, u16)]) -> Result<()> {
    for message in browser.console()? {
        let is_meant = meant.iter().any(|(path, status)| {
            message.text.split_whitespace().next().is_some_and(|url| url.ends_with(path))
                && message.text.contains(&format!("status of {status} "))
        });
        ensure!(is_meant || !matches!(message.level.as_str(), "SEVERE" | "WARNING"), "the console says {message:?}");
        for private in [NAME, CONTACT] {
            ensure!(!message.text.contains(private), "the console names a person: {message:?}");
        }
    }
    Ok(())
}

pub fn assert_nothing_personal_is_kept(browser: &Browser) -> Result<()> {
    let kept =
        "return JSON.stringify([location.href, document.cookie, {...localStorage}, Object.keys(sessionStorage)])";
    let kept = browser.run(kept, &json!([]))?;
    let kept = kept.as_str().unwrap_or_default();
    ensure!(!kept.contains("Hong") && !kept.contains("1234"), "kept in the browser: {kept}");
    ensure!(kept.ends_with(r#","",{},["language"]]"#) || kept.ends_with(r#","",{},[]]"#), "kept: {kept}");
    Ok(())
}

/// A form is not looked at in the other language: switching opens it anew, and empty.
pub fn look_over_form(browser: &Browser) -> Result<()> {
    for width in WIDTHS {
        browser.set_size(width, 844)?;
        let faults = browser.run(LOOK, &json!(["en"]))?;
        ensure!(faults == json!([]), "{width} px: {faults}");
    }
    browser.set_size(1280, 900)
}
