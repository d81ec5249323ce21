//! Why Keymend holds back, and why a person is needed.

use crate::domain::plan::{Gate, GateHit, NeedsPerson};
use crate::notify::texts::words::Line;

/// A gate in a few words.
#[must_use]
pub const fn gate_name(gate: Gate) -> &'static str {
    match gate {
        Gate::HoldTag => "hold tag",
        Gate::Custodian => "changed by a key custodian",
        Gate::DeliberateRevocation => "looks like a deliberate revocation",
        Gate::Lock => "read-only lock",
        Gate::DenyAssignment => "deny assignment",
        Gate::KeyReplaced => "key replaced",
        Gate::PurgeNear => "purge is near",
        Gate::CrossTenant => "key of another tenant",
        Gate::ManagedHsm => "managed HSM",
        Gate::OutOfScope => "outside Keymend's scope",
        Gate::BlastRadius => "too many servers at once",
        Gate::Undone => "the same repair was undone before",
        Gate::NewerKeyVersion => "a newer key version was just made",
        Gate::ExpiryLimit => "longer than policy allows",
        Gate::ExtendedBefore => "extended before and not rotated since",
        Gate::WriteBudget => "write budget of this hour is spent",
        Gate::CircuitBreaker => "too many changes failed",
        Gate::MadeByPerson => "a person made the breaking change",
        Gate::Held => "a person holds it",
        Gate::CannotTell => "a safety check could not be made",
    }
}

/// A gate that was hit, with its reason.
#[must_use]
pub fn gate_sentence(hit: &GateHit) -> Line {
    Line::default().strong(capital(gate_name(hit.gate))).say(": ").quote(&hit.why)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// What a person does about a gate, before the repair by hand.
#[must_use]
pub const fn gate_advice(gate: Gate) -> &'static str {
    match gate {
        Gate::HoldTag => "Ask whoever set the hold tag. Once it is removed, Keymend goes on. Or repair it by hand:",
        Gate::Custodian | Gate::DeliberateRevocation | Gate::NewerKeyVersion | Gate::MadeByPerson => {
            "Find out whether this was intended. If it was, leave it: the databases stay down as long as the key is \
             withheld. If it was not, repair it by hand:"
        }
        Gate::Lock => "Ask the owner of the lock. Once it is removed, Keymend goes on. Or repair it by hand:",
        Gate::DenyAssignment => "Only the owner of the deny assignment can let the server through:",
        Gate::KeyReplaced => "Do not point the server at the new key: it cannot decrypt the data.",
        Gate::PurgeNear => "There is little time before the key is gone for good. Decide now:",
        Gate::CrossTenant | Gate::ManagedHsm => "Keymend has no rights there. Its owner must repair it:",
        Gate::OutOfScope => "Add the resource to the scope in keymend.toml, or repair it by hand:",
        Gate::BlastRadius => {
            "This touches more servers than Keymend may change at once. Repair it by hand, or raise gates.max_servers:"
        }
        Gate::Undone => {
            "Somebody undid this repair before. Find out who and why; Keymend does not fight them. If it is wanted, \
             repair it by hand:"
        }
        Gate::ExpiryLimit => "The key needs a longer extension than policy allows. Extend it by hand, then rotate:",
        Gate::ExtendedBefore => "Rotate the key: a new version needs no extension. Or extend it once more by hand:",
        Gate::WriteBudget => "Keymend goes on when the hour is over. If that is too late, repair it by hand:",
        Gate::CircuitBreaker => "See why changes fail before anything else is tried, then repair it by hand:",
        Gate::Held => "Release it, and Keymend goes on. Or repair it by hand:",
        Gate::CannotTell => {
            "Look at what Keymend could not read (see above). If nothing speaks against it, repair it by hand:"
        }
    }
}

/// Why automation stopped, as the end of a headline.
#[must_use]
pub const fn person_words(reason: NeedsPerson) -> &'static str {
    match reason {
        NeedsPerson::Gate => "the repair is on hold until a person decides",
        NeedsPerson::NoRemedy => "this cannot be repaired automatically",
        NeedsPerson::Off => "this repair is switched off",
        NeedsPerson::MissingRight => "Keymend lacks a right to repair it",
        NeedsPerson::Failed => "the repair failed",
        NeedsPerson::Undetermined => "the cause cannot be told",
        NeedsPerson::NotApproved => "the repair was not approved",
        NeedsPerson::NotVerified => "the key is in order and databases stay down",
        NeedsPerson::SetAside => "some of Keymend's work was set aside",
        NeedsPerson::Held => "a person has it in hand, and Keymend changes nothing",
    }
}

/// What a person does about the reason itself, before the repair by hand.
#[must_use]
pub const fn person_advice(reason: NeedsPerson) -> &'static str {
    match reason {
        NeedsPerson::Gate => {
            "Find out whether this was intended. If it was, leave it: the databases stay down as long as the key is \
             withheld. If it was not, repair it by hand:"
        }
        NeedsPerson::NoRemedy => "Repair it by hand:",
        NeedsPerson::Off => "Repair it by hand, or allow the remedy in keymend.toml:",
        NeedsPerson::MissingRight => "Grant the right, and Keymend goes on by itself. Or repair it by hand.",
        NeedsPerson::Failed => "See what Azure answered, then repair it by hand:",
        NeedsPerson::Undetermined => {
            "Let Keymend read what it lacks, or check the chain by hand, from the server's identity to its permission:"
        }
        NeedsPerson::NotApproved => "If it is wanted after all, repair it by hand:",
        NeedsPerson::NotVerified => {
            "Open the database in the portal. If re-validating by hand does not bring it back, open a support request \
             with Microsoft:"
        }
        NeedsPerson::SetAside => "Mend what made it fail, then let Keymend try again:",
        NeedsPerson::Held => "Release it, and Keymend goes on. Or repair it by hand:",
    }
}
