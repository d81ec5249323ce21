//! Pictures of the pages, made by `scripts/screenshots`: `KEYMEND_PICTURES` names the folder.

use std::path::{Path, PathBuf};

use keymend::domain::incident::Phase;
use keymend::domain::policy::Preset;

use crate::browser::Browser;
use crate::stage::{hold, story, until};

/// Those that are shown in the documents; the others are for whoever works on the look.
fn wanted(name: &str) -> bool {
    let few = ["incident-asks-desk", "incident-asks-phone-dark", "incidents-desk", "incidents-phone-dark"];
    few.contains(&name) || name.ends_with("-phone") || std::env::var_os("KEYMEND_ALL_PICTURES").is_some()
}

async fn pictures(browser: &Browser, folder: &Path, name: &str, address: &str) {
    for (place, width, most) in [("phone", 400, 2400), ("desk", 1280, 1800), ("small", 320, 6000)] {
        for (suffix, scheme) in [("", "light"), ("-dark", "dark")] {
            let name = format!("{name}-{place}{suffix}");
            if wanted(&name) {
                browser.resize(width, 800).await;
                browser.prefer(scheme).await;
                browser.go(address).await;
                browser.picture(&folder.join(format!("{name}.png")), width, most).await;
            }
        }
    }
}

#[tokio::test]
async fn pictures_of_every_page() {
    let Some(folder) = std::env::var_os("KEYMEND_PICTURES").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).unwrap();
    let browser = Browser::start().await.expect("a browser");

    let mut asks = story("vault-deleted", Preset::Guarded).await;
    let incident = until(&mut asks, |it| it.phase == Phase::AwaitingApproval).await;
    asks.happen(&[], 5).await;
    let list = asks.house.pages();
    let page = format!("{list}/{}", incident.id);
    pictures(&browser, &folder, "incident-asks", &page).await;
    pictures(&browser, &folder, "incidents", &list).await;
    // As a person answers it.
    browser.resize(400, 800).await;
    browser.prefer("light").await;
    browser.go(&page).await;
    browser.shows("Decision needed").await;
    let answer = "const field = (name) => document.querySelector(`#answer [name=${name}]`);
        field('server').value = 'contoso-sql'; field('sure').checked = true;
        document.querySelector('#answer [value=approve]').click();";
    browser.script(answer).await;
    browser.shows("Approved by").await;
    browser.picture(&folder.join("incident-answered-phone.png"), 400, 800).await;
    if wanted("incident-made-phone") {
        until(&mut asks, |it| it.phase == Phase::Propagating || it.phase == Phase::Verifying).await;
        pictures(&browser, &folder, "incident-made", &page).await;
    }
    until(&mut asks, |it| it.ended_at.is_some()).await;
    pictures(&browser, &folder, "incident-healed", &page).await;

    if wanted("incident-escalated-phone") {
        for (name, scenario, preset) in [
            ("escalated", "deliberate-revocation", Preset::Auto),
            ("observed", "permission-revoked-rbac", Preset::Observe),
            ("storm", "shared-vault", Preset::Guarded),
        ] {
            let mut stage = story(scenario, preset).await;
            let incident = until(&mut stage, |it| it.phase == Phase::Escalated || it.notices.len() > 1).await;
            let page = format!("{}/{}", stage.house.pages(), incident.id);
            pictures(&browser, &folder, &format!("incident-{name}"), &page).await;
        }
        let mut held = story("vault-deleted", Preset::Guarded).await;
        let incident = until(&mut held, |it| it.phase == Phase::AwaitingApproval).await;
        hold(&held, &incident).await;
        until(&mut held, |it| it.phase == Phase::Escalated).await;
        pictures(&browser, &folder, "incident-held", &format!("{}/{}", held.house.pages(), incident.id)).await;
        pictures(&browser, &folder, "refused", &format!("{list}/km-nothing")).await;
    }
    browser.quit().await;
}
