//! Letters: printed in both languages, looked at on the screen and on paper, delivered; and requests found by name.

use super::browser::Browser;
use super::checks::{CONTACT, NAME, assert_quiet, look_over, look_over_form, open, sign_in, sign_out};
use super::site::Site;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use serde_json::json;

/// On paper there is the letter and nothing else, upright, and no wider than the paper.
fn is_alone_on_paper(browser: &Browser) -> Result<()> {
    browser.devtools("Emulation.setEmulatedMedia", &json!({"media": "print"}))?;
    // A4 less its margins, in CSS pixels.
    browser.set_size(657, 900)?;
    let script = "
        const seen = (css) => [...document.querySelectorAll(css)].some((e) => e.offsetParent !== null);
        const letter = document.querySelector('#letter');
        return {
          around: ['header', 'footer', 'form', 'button', 'nav', '.back', 'table.cards', '#new-letter', '#delivery'].filter(seen),
          wide: letter.scrollWidth > innerWidth,
          cut: [...letter.querySelectorAll('table, p, code')].filter((e) => e.scrollWidth > letter.clientWidth + 1).length,
        };";
    let told = browser.run(script, &json!([]))?;
    browser.devtools("Emulation.setEmulatedMedia", &json!({"media": ""}))?;
    browser.set_size(1280, 900)?;
    ensure!(told == json!({"around": [], "wide": false, "cut": 0}), "{told}");
    Ok(())
}

fn write(browser: &Browser, letter: &str, language: &str) -> Result<()> {
    let script = "
        const form = document.querySelector('#new-letter');
        form.elements.letter.value = arguments[0];
        form.elements.language.value = arguments[1];
        document.querySelector('#letter')?.remove();";
    browser.run(script, &json!([letter, language]))?;
    browser.click("#new-letter button")?;
    browser.wait_for_element("#letter .letter")
}

/// Request 2 was refused, request 3 answered, request 1 approved; the desk prints their letters.
pub fn print_and_deliver(site: &Site, browser: &Browser) -> Result<()> {
    sign_in(browser, "desk")?;
    open(browser, "requests/2")?;
    browser.click("#letters")?;
    browser.wait_for_text("main", "No letter has been printed yet")?;
    look_over_form(browser)?;
    for (letter, language, texts) in [
        ("refusal", "en", ["Refusal of a request", "How to object", "A child is visible"]),
        ("refusal", "ko", ["거절 통지서", "이의신청 방법", "A child is visible"]),
        ("receipt", "ko", ["접수증", "처리 기한", NAME]),
    ] {
        write(browser, letter, language)?;
        for text in texts.iter().chain(&[NAME, CONTACT, "custodian checkpoint site="]) {
            browser.wait_for_text("#letter", text)?;
        }
        look_over_form(browser)?;
        let pdf = browser.print_upright()?;
        let pdf = base64::engine::general_purpose::STANDARD.decode(pdf.as_str().context("no PDF")?)?;
        ensure!(pdf.starts_with(b"%PDF") && pdf.len() > 5_000, "{} bytes", pdf.len());
        keep_for_a_look(&format!("{letter}-{language}"), &pdf, browser)?;
        is_alone_on_paper(browser)?;
    }
    // Kinds that there is nothing of are refused in words.
    browser.run("document.querySelector('#new-letter').elements.letter.value = 'grant'", &json!([]))?;
    browser.click("#new-letter button")?;
    browser.wait_for_element("#new-letter .problem")?;
    let listed = "return document.querySelectorAll('main table.cards tbody tr').length";
    ensure!(browser.run(listed, &json!([]))? == 3, "three were printed");
    browser.type_into("#delivery textarea", &format!("taken by {NAME}"))?;
    browser.click("#delivery button")?;
    browser.wait_for_text("main .done", "The delivery is recorded")?;
    for text in ["By hand", &format!("taken by {NAME}"), "not yet"] {
        browser.wait_for_text("main table", text)?;
    }
    look_over(browser, false)?;
    hostile_names_stay_text(site, browser)?;
    search(browser)?;
    sign_out(browser)?;
    assert_quiet(browser, &[("/v1/requests/2/letters", 409), ("/v1/requests/search", 422)])
}

/// So that somebody can look at it: beside the build, over what the last run left.
fn keep_for_a_look(name: &str, pdf: &[u8], browser: &Browser) -> Result<()> {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("letters");
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join(format!("{name}.pdf")), pdf)?;
    let told = browser.devtools("Page.captureScreenshot", &json!({"format": "png", "captureBeyondViewport": true}))?;
    let png = base64::engine::general_purpose::STANDARD.decode(told["data"].as_str().context("no picture")?)?;
    Ok(std::fs::write(dir.join(format!("{name}.png")), png)?)
}

/// A name that is markup is read, and does nothing.
fn hostile_names_stay_text(site: &Site, browser: &Browser) -> Result<()> {
    let mut desk = site.sign_in("desk")?;
    let first = desk.get("/v1/requests/1")?.expect_status(200)?.json.clone();
    let name = "<img src=x onerror=\"document.title='ran'\"><b>Bold</b>";
    let body = json!({
        "kind": "viewing", "cameras": [1], "span": first["span"], "purpose": "<script>document.title='ran'</script>",
        "person": {"name": name, "contact": "<a href='https://example.org/'>call</a>"},
    });
    let number = desk.post("/v1/requests", &body)?.expect_status(201)?.json["number"].clone();
    open(browser, &format!("requests/{number}/letters"))?;
    write(browser, "receipt", "en")?;
    browser.wait_for_text("#letter", name)?;
    let found = "return [...document.querySelectorAll('#letter *')].map((e) => e.localName).filter((name) => ['img', 'script', 'a', 'b'].includes(name))";
    ensure!(browser.run(found, &json!([]))? == json!([]), "a name has become markup");
    ensure!(browser.run("return document.title.includes('ran')", &json!([]))? == json!(false), "a name ran");
    Ok(())
}

/// By name, and never by less than two letters.
fn search(browser: &Browser) -> Result<()> {
    open(browser, "requests")?;
    browser.click("#search summary")?;
    browser.run("document.querySelector('#by-name input').minLength = -1", &json!([])).ok();
    browser.run("document.querySelector('#by-name input').removeAttribute('minlength')", &json!([]))?;
    browser.type_into("#by-name input", "H")?;
    browser.click("#by-name button")?;
    browser.wait_for_element("#by-name .problem")?;
    browser.type_into("#by-name input", "gildong")?;
    browser.click("#by-name button")?;
    browser.wait_for_text("#found caption", "Found")?;
    let found = browser.run("return document.querySelectorAll('#found tbody tr').length", &json!([]))?;
    ensure!(found.as_u64().is_some_and(|found| found >= 3), "{found}");
    look_over_form(browser)?;
    browser.type_into("#by-name input", "nobody at all")?;
    browser.click("#by-name button")?;
    browser.wait_for_text("#found", "No request was found")
}
