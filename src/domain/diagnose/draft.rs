//! A diagnosis while it is being written: findings are merged by cause, links keep their worst state.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::diagnose::merge::{merge, tidy};
use crate::domain::diagnosis::{Cause, Check, Finding, Link, LinkState};
use crate::domain::evidence::{Fact, MissingRight};
use crate::domain::resource_id::ResourceId;

/// The links of the chain, in order.
const CHAIN: [Link; 6] = [Link::Identity, Link::Vault, Link::Firewall, Link::Key, Link::Permission, Link::Database];

/// What could not be read, by server: the link and why.
pub(in crate::domain) type Unread = BTreeMap<ResourceId, Vec<(Link, String)>>;

#[derive(Debug, Default)]
pub(super) struct Draft {
    findings: BTreeMap<(u8, String), Finding>,
    links: BTreeMap<Link, Vec<(LinkState, String)>>,
    broken: BTreeSet<ResourceId>,
    unread: Unread,
    unknowns: Vec<String>,
    rights: Vec<MissingRight>,
}

impl Draft {
    /// A link was seen to be right.
    pub(super) fn ok(&mut self, link: Link, said: impl Into<String>) {
        self.links.entry(link).or_default().push((LinkState::Ok, said.into()));
    }

    /// A link cannot be told, because something before it is broken: nothing new to the servers' standing.
    pub(super) fn hidden(&mut self, link: Link, said: impl Into<String>) {
        self.links.entry(link).or_default().push((LinkState::Unknown, said.into()));
    }

    /// A link could not be read, so that these servers' chain cannot be called whole.
    pub(super) fn unread(&mut self, link: Link, servers: &[ResourceId], said: impl Into<String>) {
        let said = said.into();
        for server in servers {
            self.unread.entry(server.clone()).or_default().push((link, said.clone()));
        }
        self.unknown(said.clone());
        self.hidden(link, said);
    }

    /// A database is down: broken for people to see, without saying anything of the chain before it.
    pub(super) fn down(&mut self, said: impl Into<String>) {
        self.links.entry(Link::Database).or_default().push((LinkState::Broken, said.into()));
    }

    /// A link is broken. Findings of the same cause and `group` become one.
    pub(super) fn broken(&mut self, link: Link, group: &str, said: impl Into<String>, finding: Finding) {
        self.links.entry(link).or_default().push((LinkState::Broken, said.into()));
        self.broken.extend(finding.servers.iter().cloned());
        self.find(group, finding);
    }

    /// Adds a finding that is no link's fault.
    pub(super) fn find(&mut self, group: &str, finding: Finding) {
        match self.findings.entry((rank(finding.cause), group.to_lowercase())) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(finding);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => merge(entry.get_mut(), finding),
        }
    }

    /// Something that stays unknown, in words.
    pub(super) fn unknown(&mut self, said: impl Into<String>) {
        let said = said.into();
        if !self.unknowns.contains(&said) {
            self.unknowns.push(said);
        }
    }

    /// A right that is missing for looking.
    pub(super) fn right(&mut self, right: &MissingRight) {
        if !self.rights.contains(right) {
            self.rights.push(right.clone());
        }
    }

    /// Why a fact is not known, in words; a missing right is remembered.
    pub(super) fn why<T>(&mut self, fact: &Fact<T>, what: &str) -> String {
        if let Fact::Denied(right) = fact {
            self.right(right);
        }
        why(fact, what)
    }

    /// Whether every link of the server was seen to be right so far.
    pub(super) fn is_whole(&self, server: &ResourceId) -> bool {
        !self.broken.contains(server) && !self.unread.contains_key(server)
    }

    /// Servers that are not broken as far as was seen, and not seen to be whole either; with what was not seen.
    pub(super) fn undetermined(&self) -> Vec<(ResourceId, Vec<String>)> {
        let left = self.unread.iter().filter(|(server, _)| !self.broken.contains(*server));
        let words = |why: &Vec<(Link, String)>| why.iter().map(|(_, said)| said.clone()).collect();
        left.map(|(server, why)| (server.clone(), words(why))).collect()
    }

    /// What could not be read, whether or not something else is known to be broken.
    pub(super) fn into_unread(self) -> Unread {
        self.unread
    }

    pub(super) fn has_findings(&self) -> bool {
        !self.findings.is_empty()
    }

    /// Whether nothing was found but what `harmless` allows.
    pub(super) fn has_only(&self, harmless: impl Fn(Cause) -> bool) -> bool {
        self.findings.values().all(|finding| harmless(finding.cause))
    }

    /// The findings in the order of the decision table.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.findings.values().cloned().map(tidy).collect()
    }

    /// The chain's checks, the unknowns, the missing rights.
    pub(super) fn finish(self) -> (Vec<Check>, Vec<String>, Vec<MissingRight>) {
        let checks = CHAIN.iter().map(|link| check(*link, self.links.get(link))).collect();
        let mut rights = self.rights;
        rights.sort_by_key(|right| (right.action.to_lowercase(), right.scope.to_lowercase()));
        (checks, self.unknowns, rights)
    }
}

/// Why a fact is not known, in words.
pub(super) fn why<T>(fact: &Fact<T>, what: &str) -> String {
    match fact {
        Fact::Denied(right) => {
            format!("{what} may not be read: the right {} on {} is missing", right.action, right.scope)
        }
        Fact::Unknown(why) => format!("{what} could not be read: {why}"),
        Fact::Absent => format!("{what} does not exist"),
        Fact::Known(_) => format!("{what} is known"),
    }
}

/// The order in which causes are looked at: whatever comes first explains what comes after it.
const fn rank(cause: Cause) -> u8 {
    match cause {
        Cause::TargetGone => 0,
        Cause::ServiceManaged => 1,
        Cause::ManagedHsm => 2,
        Cause::CrossTenant => 3,
        Cause::IdentityMissing => 4,
        Cause::IdentityDeleted => 5,
        Cause::VaultDeleted => 6,
        Cause::VaultAbsent => 7,
        Cause::VaultFirewalled => 8,
        Cause::VaultPerimeter => 9,
        Cause::KeyReplaced => 10,
        Cause::KeyPurged => 11,
        Cause::KeyDeleted => 12,
        Cause::KeyNotYetValid => 13,
        Cause::KeyUnsupported => 14,
        Cause::KeyOperationsRestricted => 15,
        Cause::KeyDisabled => 16,
        Cause::KeyExpired => 17,
        Cause::DenyAssignment => 18,
        Cause::PermissionModelSwitched => 19,
        Cause::PolicyMissing => 20,
        Cause::RoleMissing => 21,
        Cause::ServerKeyMissing => 22,
        // Only our own view of the network, so everything that was read of the configuration goes before these two.
        Cause::PrivateEndpointPending => 23,
        Cause::VaultUnreachable => 24,
        // Nothing is lost yet: whatever is broken already goes before it.
        Cause::KeyExpiring => 25,
        Cause::Undetermined => 26,
        Cause::StillInaccessible => 27,
        Cause::DatabaseLevelKey => 28,
        // The servers' own databases come back first.
        Cause::GeoPartnerWithoutGrant => 29,
        Cause::DeadSecondary => 30,
        Cause::OtherReason => 31,
        Cause::Healthy => 32,
    }
}

fn check(link: Link, said: Option<&Vec<(LinkState, String)>>) -> Check {
    let badness = |state: LinkState| match state {
        LinkState::Ok => 0,
        LinkState::Unknown => 1,
        LinkState::Broken => 2,
    };
    let all = said.map(Vec::as_slice).unwrap_or_default();
    let Some(state) = all.iter().map(|(state, _)| *state).max_by_key(|state| badness(*state)) else {
        return Check { link, state: LinkState::Unknown, said: "Was not looked at.".to_owned() };
    };
    let mut seen = BTreeSet::new();
    let mut worst: Vec<&str> = all.iter().filter(|(s, _)| *s == state).map(|(_, said)| said.as_str()).collect();
    worst.retain(|said| seen.insert(*said));
    let more = worst.len() - 1;
    let first = sentence(worst.first().copied().unwrap_or_default().trim_end_matches('.'));
    let said = if more > 0 { format!("{first} (and {more} more).") } else { format!("{first}.") };
    Check { link, state, said }
}

/// With a capital letter, unless the text begins with a resource's name.
pub(in crate::domain) fn sentence(text: &str) -> String {
    const WORDS: [&str; 7] = ["the", "key", "older", "no", "whether", "another", "cannot"];
    let first = text.split(' ').next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(letter) if WORDS.contains(&first) => format!("{}{}", letter.to_ascii_uppercase(), letters.as_str()),
        _ => text.to_owned(),
    }
}
