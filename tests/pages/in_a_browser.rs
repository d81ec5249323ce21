//! A person at a phone and at a keyboard, from the list to the end of a story, in one session of a real browser.

use std::process::Command;

use keymend::domain::incident::Phase;
use keymend::domain::policy::Preset;
use thirtyfour::prelude::*;

use crate::browser::Browser;
use crate::stage::{story, until};

/// The script that finds what keeps people from using a page; `None` where it cannot be had, which is said.
fn axe() -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/axe");
    let answer = Command::new(script).output().unwrap();
    if !answer.status.success() {
        assert!(std::env::var_os("KEYMEND_NEED_BROWSER").is_none(), "{}", String::from_utf8_lossy(&answer.stderr));
        eprintln!("SKIPPED axe: {}", String::from_utf8_lossy(&answer.stderr));
        return None;
    }
    Some(std::fs::read_to_string(String::from_utf8(answer.stdout).unwrap().trim()).unwrap())
}

const UNFOLD: &str = "document.querySelectorAll('details').forEach((fold) => { fold.open = true; })";

/// Presses Tab until the focus is on something that says `wanted`; all on the way must be seen to have it.
async fn tab_to(browser: &Browser, wanted: &str) {
    let mut passed = Vec::new();
    for _ in 0..40 {
        browser.press(Key::Tab).await;
        let (text, seen) = browser.focus().await;
        assert!(seen, "the focus on {text:?} cannot be seen");
        if text.contains(wanted) {
            return;
        }
        passed.push(text);
    }
    panic!("Tab never comes to {wanted:?}: {passed:?}");
}

/// On the smallest phone, in light and dark, with everything unfolded.
async fn fits_and_is_accessible(browser: &Browser, axe: Option<&str>, what: &str) {
    browser.script(UNFOLD).await;
    browser.resize(320, 640).await;
    assert_eq!(browser.overflow().await, 0, "{what} is wider than 320 pixels");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        for width in [320, 1280] {
            browser.resize(width, 800).await;
            if let Some(axe) = axe {
                let found = browser.axe(axe).await;
                assert!(found.is_empty(), "{what}, {scheme}, {width} wide: {found:#?}");
            }
        }
    }
}

#[tokio::test]
async fn from_the_list_to_the_end_of_a_story() {
    let Some(browser) = Browser::start().await else { return };
    let axe = axe();
    let mut stage = story("vault-deleted", Preset::Guarded).await;
    let incident = until(&mut stage, |it| it.phase == Phase::AwaitingApproval).await;

    // By keyboard alone, from the list to the incident.
    browser.resize(1280, 800).await;
    browser.go(&stage.house.pages()).await;
    browser.shows("1 incident is open, and waits for your decision").await;
    browser.press(Key::Tab).await;
    assert_eq!(browser.focus().await, ("Skip to the content".to_owned(), true));
    browser.press(Key::Enter).await;
    assert_eq!(browser.script("return document.activeElement.id").await, "main");
    tab_to(&browser, "Recover the deleted key vault").await;
    fits_and_is_accessible(&browser, axe.as_deref(), "the list").await;
    browser.press(Key::Enter).await;
    browser.shows("Decision needed").await;
    assert!(browser.driver.current_url().await.unwrap().path().ends_with(&incident.id.0));
    fits_and_is_accessible(&browser, axe.as_deref(), "the incident that asks").await;

    // The story goes on, and the page with it, while what the reader did stays.
    browser.script(&format!("{UNFOLD}; window.sameDocument = true")).await;
    browser.script("document.querySelector('details[data-fold=story]')?.removeAttribute('open')").await;
    tab_to(&browser, "all incidents").await;
    // Enter in a field presses nothing; what is typed outlives the page's renewal; without the box nothing is approved.
    browser.script("document.querySelector('#answer [name=why]').focus()").await;
    browser.write("asked the key's owner").await;
    browser.press(Key::Enter).await;
    stage.happen(&[], 1).await;
    browser.renewed().await;
    let typed = browser.script("return document.querySelector('#answer [name=why]').value").await;
    assert_eq!(typed, "asked the key's owner");
    assert!(stage.incidents().await[0].approval.as_ref().unwrap().decision.is_none(), "Enter approves nothing");
    browser.script("document.querySelector('#answer [name=server]').focus()").await;
    browser.write("contoso-sql").await;
    tab_to(&browser, "Approve").await;
    browser.press(Key::Enter).await;
    assert!(stage.incidents().await[0].approval.as_ref().unwrap().decision.is_none(), "the box is not ticked");
    browser.script("document.querySelector('#answer [name=sure]').focus()").await;
    browser.press(Key::Space).await;
    tab_to(&browser, "Approve").await;
    browser.press(Key::Enter).await;
    browser.shows("Approved by somebody at this machine").await;
    fits_and_is_accessible(&browser, axe.as_deref(), "the page that says that it counted").await;
    tab_to(&browser, "Back to the incident").await;
    browser.press(Key::Enter).await;
    browser.shows("Timeline").await;
    browser.script(&format!("{UNFOLD}; window.sameDocument = true")).await;
    tab_to(&browser, "all incidents").await;
    stage.happen(&[], 3).await;
    browser.shows("change made, not over yet").await;
    until(&mut stage, |it| it.ended_at.is_some()).await;
    browser.shows("resolved").await;
    assert_eq!(browser.script("return window.sameDocument").await, true, "it was not loaded anew");
    assert_eq!(browser.script("return document.querySelector('[data-fold=evidence]').open").await, true);
    assert!(browser.driver.title().await.unwrap().starts_with("RESOLVED"));
    let heard = browser.script("return document.getElementById('status').textContent").await;
    assert!(heard.as_str().unwrap().starts_with("RESOLVED"), "{heard}");
    assert!(browser.focus().await.0.contains("all incidents"), "the focus stays where it was");
    fits_and_is_accessible(&browser, axe.as_deref(), "the incident that is over").await;

    // Where Keymend is gone, the page says that it is old.
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "the policy is kept and nothing is missing: {complaints:#?}");
    let list = stage.house.pages();
    browser.go(&format!("{list}/km-none")).await;
    browser.shows("There is no such incident").await;
    fits_and_is_accessible(&browser, axe.as_deref(), "a page that says why there is none").await;
    browser.quit().await;
}

#[tokio::test]
async fn a_page_that_is_old_says_so() {
    let Some(browser) = Browser::start().await else { return };
    let mut stage = story("deliberate-revocation", Preset::Auto).await;
    let incident = until(&mut stage, |it| it.phase == Phase::Escalated).await;
    browser.go(&format!("{}/{}", stage.house.pages(), incident.id)).await;
    browser.shows("Live").await;
    browser.shows("Copy").await;
    stage.house.stop().await;
    browser.shows("Not updated since").await;
    browser.quit().await;
}
