//! What is broken already, and what could not be read.

use std::collections::BTreeMap;

use crate::domain::diagnosis::Cause;
use crate::domain::evidence::Evidence;
use crate::domain::resource_id::ResourceId;
use crate::notify::texts::by_hand::command;
use crate::notify::texts::causes::finding_sentence;
use crate::posture::chain::{Chain, Verdict};
use crate::posture::finding::{CHAIN_BROKEN, CHAIN_UNREAD, Finding, GEO_PARTNER, Level};

pub(super) fn check(evidence: &Evidence, chains: &[Chain]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut unread: BTreeMap<String, Vec<ResourceId>> = BTreeMap::new();
    for chain in chains {
        findings.extend(partners(chain));
        match chain.verdict {
            Verdict::Broken => findings.extend(broken(chain, evidence)),
            Verdict::Unknown => {
                let why = chain.diagnosis.unknowns.first().cloned().unwrap_or_else(|| "it was not seen".to_owned());
                unread.entry(why).or_default().push(chain.id.clone());
            }
            Verdict::Whole | Verdict::NotOurs => {}
        }
    }
    for (why, servers) in unread {
        let subject = servers.first().map(ToString::to_string).unwrap_or_default();
        let first = servers.first().map_or("", |id| id.name());
        let more = if servers.len() > 1 { format!(" and {} more servers", servers.len() - 1) } else { String::new() };
        let finding = Finding::new(&CHAIN_UNREAD, Level::Medium, subject, format!("{first}{more}: {why}"));
        findings.push(
            finding.fix("Give Keymend the right to read it, and audit again").run("keymend doctor").of(servers, 0),
        );
    }
    findings
}

fn broken(chain: &Chain, evidence: &Evidence) -> Vec<Finding> {
    let databases = chain.databases.len();
    let real = |cause: Cause| !matches!(cause, Cause::Healthy | Cause::Undetermined | Cause::GeoPartnerWithoutGrant);
    let found = chain.diagnosis.findings.iter().filter(|finding| real(finding.cause)).map(|found| {
        let said = finding_sentence(found, evidence.taken_at).to_string();
        let down = chain.databases.iter().filter(|database| database.inaccessible).count();
        let what = format!("{}: {said} {down} of {databases} databases are inaccessible now.", chain.called);
        let level = if found.cause == Cause::ManagedHsm && down == 0 { Level::Medium } else { Level::Critical };
        let finding = Finding::new(&CHAIN_BROKEN, level, chain.id.to_string(), what)
            .fix("See the whole chain and what Keymend would do, then mend it by hand or let Keymend")
            .run(format!("keymend diagnose {}", crate::notify::texts::by_hand::quoted(chain.id.as_str())))
            .of(vec![chain.id.clone()], databases);
        found.changes.iter().filter_map(command).fold(finding, Finding::run)
    });
    found.collect()
}

/// Servers that hold geo-secondaries of a chain's databases, and may not use its key.
fn partners(chain: &Chain) -> Vec<Finding> {
    let found = chain.diagnosis.findings.iter().filter(|found| found.cause == Cause::GeoPartnerWithoutGrant);
    let each = found.flat_map(|found| found.servers.iter().map(move |partner| (found, partner)));
    let told = each.map(|(found, partner)| {
        let proof = found.proof.iter().find(|proof| proof.said.contains(partner.name()));
        let what = proof.map_or_else(|| format!("{} lacks the key", partner.name()), |proof| proof.said.clone());
        let finding = Finding::new(&GEO_PARTNER, Level::High, partner.to_string(), what)
            .fix("Give the partner's identity the key of the primary, whatever its own key is")
            .of(vec![chain.id.clone(), partner.clone()], chain.databases.len());
        found.changes.iter().filter_map(command).fold(finding, Finding::run)
    });
    told.collect()
}
