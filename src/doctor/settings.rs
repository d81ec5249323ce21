//! What the settings say: secrets that cannot be had, the cloud, and the policy in words.

use super::report::{Check, Fix, Section};
use crate::azure::Cloud;
use crate::domain::policy::{Mode, Policy, Preset};
use crate::settings::{Problem, Settings};

pub(super) fn check(settings: &Settings) -> Section {
    let mut checks = vec![Check::ok("settings", "every setting is understood")];
    checks.extend(settings.faults.iter().map(fault));
    checks.push(cloud(settings));
    checks.push(Check::ok("policy", policy(&settings.policy)));
    if settings.policy.dry_run {
        let said = "dry run: Keymend decides and tells, and sends no change to Azure";
        let fix = Fix::words("Set policy.dry_run = false once it may repair");
        checks.push(Check::warning("dry run", said).fix(fix));
    }
    Section { name: "settings", checks }
}

fn fault(fault: &Problem) -> Check {
    Check::missing(fault.setting.clone(), format!("{}; what needs it is off", fault.why))
        .fix(Fix::words(fault.instead.clone()))
}

fn cloud(settings: &Settings) -> Check {
    let azure = &settings.azure;
    let name = match azure.endpoints.cloud() {
        Cloud::Public => "Azure",
        Cloud::UsGovernment => "Azure Government",
        Cloud::China => "Azure in China",
    };
    let simulated = if azure.endpoints.on_this_machine() { "simulated " } else { "" };
    Check::ok("cloud", format!("{simulated}{name} at {}, by {}", azure.endpoints.arm(), azure.credential))
}

/// What is allowed, in a sentence.
fn policy(policy: &Policy) -> String {
    let preset = match policy.preset {
        Preset::Observe => "observe: looks and tells, changes nothing",
        Preset::Guarded => "guarded: re-grants and re-validates by itself, asks for the rest",
        Preset::Auto => "auto: makes every repair by itself that can be taken back",
    };
    let word = |mode: Mode| match mode {
        Mode::Off => "off",
        Mode::Approve => "approve",
        Mode::Auto => "auto",
    };
    let differs = |(remedy, mode): (&_, &Mode)| {
        (policy.mode(*remedy) == *mode && policy.preset.mode(*remedy) != *mode)
            .then(|| format!("{remedy} = {}", word(*mode)))
    };
    let exceptions: Vec<String> = policy.remedies.iter().filter_map(differs).collect();
    if exceptions.is_empty() { preset.to_owned() } else { format!("{preset}; but {}", exceptions.join(", ")) }
}
