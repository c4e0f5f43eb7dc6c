//! Somebody joins, with two officers, a one-time code and a password of their own; an officer sets a second factor.

use crate::browser::Browser;
use crate::checks::{assert_quiet, look_over, look_over_form, open, sign_in, sign_in_with, sign_out};
use crate::site::{Site, password};
use anyhow::{Context, Result, ensure};
use cctv_custodian::crypto::TotpSecret;
use serde_json::json;

const CHOSEN: &str = "tiny blue trains at dawn";

pub fn somebody_joins(browser: &Browser) -> Result<()> {
    sign_in(browser, "officer")?;
    open(browser, "people")?;
    look_over(browser, false)?;
    browser.click("a[href='#/people/new']")?;
    browser.wait_for_element("#new-account")?;
    browser.type_into("#new-account input[name=name]", "newcomer")?;
    browser.run("document.querySelector('#new-account select[name=role]').value = 'staff'", &json!([]))?;
    browser.type_into("#new-account input[name=reason]", "joins the front desk")?;
    browser.type_into("#new-account input[name=password]", &password("officer"))?;
    look_over_form(browser)?;
    browser.click("#new-account button[type=submit]")?;
    browser.wait_for_element("#one-time-code")?;
    let code = browser.text("#one-time-code")?;
    sign_out(browser)?;

    browser.click("#first")?;
    browser.type_into("#first-password input[name=name]", "newcomer")?;
    browser.type_into("#first-password input[name=code]", code.trim())?;
    browser.type_into("#first-password input[name=new-password]", CHOSEN)?;
    browser.type_into("#first-password input[name=again]", CHOSEN)?;
    browser.click("#first-password button[type=submit]")?;
    browser.wait_for_text("main", "Another officer is to approve")?;

    sign_in(browser, "deputy")?;
    open(browser, "people/7")?;
    browser.wait_for_element("#approval-account")?;
    look_over(browser, false)?;
    browser.type_into("#approval-account input[name=password]", &password("deputy"))?;
    browser.click("#approval-account button[type=submit]")?;
    browser.wait_for_text("main .done", "approved")?;
    browser.wait_for_text("main", "Active")?;
    sign_out(browser)?;
    sign_in_with(browser, "newcomer", CHOSEN)?;
    sign_out(browser)
}

pub fn an_officer_sets_a_second_factor(site: &Site, browser: &Browser) -> Result<()> {
    sign_in(browser, "officer")?;
    open(browser, "account")?;
    browser.wait_for_element("#secret")?;
    look_over(browser, false)?;
    let secret = TotpSecret::from_base32(browser.text("#secret")?.trim()).context("no secret")?;
    let code =
        |steps: i64| -> Result<String> { Ok(secret.code(u64::try_from(crate::site::now_ms()? / 30_000 + steps)?)) };
    browser.type_into("#set-second-factor input[name=app-code]", &code(0)?)?;
    browser.type_into("#set-second-factor input[name=password]", &password("officer"))?;
    browser.click("#set-second-factor button[type=submit]")?;
    browser.wait_for_element("#recovery-codes")?;
    let recovery = browser.text("#recovery-codes li")?;
    sign_out(browser)?;
    // Without a code the password alone opens nothing; with a recovery code it does.
    browser.type_into("#sign-in input[name=name]", "officer")?;
    browser.type_into("#sign-in input[name=password]", &password("officer"))?;
    browser.click("#sign-in button[type=submit]")?;
    browser.wait_for_text("#sign-in .problem", "econd factor")?;
    browser.type_into("#sign-in input[name=code-of-second-factor]", recovery.trim())?;
    browser.click("#sign-in button[type=submit]")?;
    browser.wait_for_element("#who")?;
    ensure!(site.sign_in("officer").is_err(), "the password alone signs in");
    assert_quiet(browser, &[("/v1/session", 401)])
}
