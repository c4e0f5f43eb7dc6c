//! The ledger's months and their review; the management ledger; copies that were destroyed.

use super::browser::Browser;
use super::checks::{
    assert_quiet, look_over, look_over_form, open, sign_in_with, sign_out, switch_language, wait_for_page,
};
use crate::support::daemon::program;
use crate::support::in_process::InProcess;
use crate::support::site::Site;
use anyhow::{Context, Result, ensure};
use cctv_custodian::clock::ManualClock;
use serde_json::{Value, json};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// A site whose first month is over, and had somebody in it who may not read the ledger and tried to.
pub fn review_a_month_and_print_the_register() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let site = Site::init(&program()?, &dir.path().join("site"), &["--allow-unproven"])?;
    let daemon = InProcess::start(&site, &ManualClock::flowing());
    let mut staff = daemon.sign_in(&site, "staff");
    staff.api.get("/v1/ledger")?.expect_status(403)?;
    daemon.hands.advance(DAY * 32);
    let officer = site.account("officer")?;
    let browser = &Browser::open("en-GB")?;
    browser.set_size(1280, 900)?;
    browser.go(&daemon.url())?;
    // The sign-in is the new month's first row.
    sign_in_with(browser, officer.name, &officer.password)?;
    browser.wait_for_text("#review-note", "wait for a review: 1")?;
    look_over(browser, false)?;
    enter_copies(browser)?;
    browser.click("a[href='#/ledger']")?;
    wait_for_page(browser)?;
    look_over(browser, false)?;
    open(browser, "ledger/months")?;
    browser.wait_for_text("main", "To be reviewed")?;
    look_over(browser, false)?;
    browser.click("a.row-link")?;
    browser.wait_for_text("#month", "Ledger asked for without the right to")?;
    look_over(browser, false)?;
    browser.type_into("#review-month textarea", "asked: it was curiosity")?;
    browser.type_into("#review-month input[name=password]", &officer.password)?;
    look_over_form(browser)?;
    browser.click("#review-month button")?;
    browser.wait_for_text("main .done", "The month is reviewed")?;
    browser.wait_for_text("#month", "asked: it was curiosity")?;
    on_paper(browser, "#month")?;
    print_the_register(browser)?;
    sign_out(browser)?;
    assert_quiet(browser, &[("/v1/session", 401)])?;
    drop(daemon);
    Ok(())
}

fn enter_copies(browser: &Browser) -> Result<()> {
    open(browser, "copies")?;
    browser.wait_for_text("main", "Prints and copies")?;
    look_over(browser, false)?;
    let yesterday = browser.run("return Date.now() - 86400000", &json!([]))?.as_i64().context("no time")?;
    browser.set_time("#copy-destroyed input[name=destroyed]", yesterday / 60_000 * 60_000)?;
    browser.click("#copy-destroyed button")?;
    browser.wait_for_text("main .done", "Entered as row")
}

fn print_the_register(browser: &Browser) -> Result<()> {
    // The daemon is a month ahead of the browser.
    open(browser, "ledger/register/2026-01-01/2099-12-31")?;
    for text in ["Print on paper × 1", "shredded", "custodian checkpoint site="] {
        browser.wait_for_text("#register", text)?;
    }
    look_over(browser, false)?;
    on_paper(browser, "#register")?;
    switch_language(browser)?;
    browser.wait_for_text("#register", "개인영상정보 관리대장")?;
    switch_language(browser)?;
    // As a browser saves it.
    let script = "
        const link = document.querySelector('a[href^=\"/v1/ledger/register.csv\"]');
        const answer = await fetch(link.href);
        const bytes = new Uint8Array(await answer.arrayBuffer());
        return { status: answer.status, kind: answer.headers.get('content-type'), mark: [...bytes.slice(0, 3)],
                 saved: answer.headers.get('content-disposition'), text: new TextDecoder().decode(bytes) };";
    let told = browser.run(&format!("return (async () => {{ {script} }})();"), &json!([]))?;
    ensure!(told["status"] == 200 && told["mark"] == json!([0xef, 0xbb, 0xbf]), "{told}");
    ensure!(
        told["saved"].as_str().is_some_and(|saved| saved.starts_with("attachment; filename=\"register-")),
        "{told}"
    );
    let text = told["text"].as_str().context("no text")?;
    ensure!(text.contains("copy-destroyed") && text.contains("custodian checkpoint site="), "{text}");
    Ok(())
}

/// On paper there is the form and nothing else, as wide as the paper, and it is a PDF.
fn on_paper(browser: &Browser, form: &str) -> Result<()> {
    browser.devtools("Emulation.setEmulatedMedia", &json!({"media": "print"}))?;
    browser.set_size(1032, 700)?;
    let script = "
        const seen = (css) => [...document.querySelectorAll(css)].some((e) => e.offsetParent !== null);
        const article = document.querySelector(arguments[0]);
        return {
          around: ['header', 'footer', 'form', 'button', 'nav', '.back'].filter(seen),
          cut: [...article.querySelectorAll('table')].filter((e) => e.scrollWidth > article.clientWidth + 1).length,
        };";
    let told = browser.run(script, &json!([form]))?;
    let printed: Value = browser.print()?;
    browser.devtools("Emulation.setEmulatedMedia", &json!({"media": ""}))?;
    browser.set_size(1280, 900)?;
    ensure!(told == json!({"around": [], "cut": 0}), "{told}");
    let pdf = printed.as_str().context("no PDF")?;
    // %PDF- in base64.
    ensure!(pdf.starts_with("JVBERi0") && pdf.len() > 10_000, "{} bytes of something else", pdf.len());
    Ok(())
}
