//! Our clock against Azure's.

use jiff::SignedDuration;

use super::report::{Check, Fix, Section};
use crate::azure::AzureError;
use crate::azure::caller::Heard;

/// From here on somebody should look.
const NOTABLE: SignedDuration = SignedDuration::from_mins(2);
/// Entra allows tokens five minutes of difference (Microsoft, "Configurable token lifetimes", clock skew).
const REFUSED: SignedDuration = SignedDuration::from_mins(5);

pub(super) fn check(heard: &Result<Heard, AzureError>) -> Section {
    let check = match heard {
        Ok(Heard { there: Some(there), here, .. }) => judge(here.duration_since(*there)),
        Ok(_) => Check::unknown("clock", "Azure's answer carries no time"),
        Err(error) => Check::unknown("clock", error.to_string()),
    };
    Section { name: "clock", checks: vec![check] }
}

fn judge(ahead: SignedDuration) -> Check {
    let seconds = ahead.abs().as_secs();
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    if ahead.abs() <= NOTABLE {
        return Check::ok("clock", format!("ours is {seconds} s {side} Azure's"));
    }
    let far = if seconds < 600 { format!("{seconds} s") } else { format!("{} min", seconds / 60) };
    let said = format!("ours is {far} {side} Azure's; at 5 minutes tokens are refused");
    let check = if ahead.abs() < REFUSED { Check::warning("clock", said) } else { Check::missing("clock", said) };
    check.fix(Fix::command("Set this machine's clock, and let it be kept right", "sudo timedatectl set-ntp true"))
}
