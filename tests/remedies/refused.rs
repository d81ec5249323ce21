//! What Azure refuses: a right that is missing, a lock, throttling, a firewall.

use jiff::SignedDuration;
use keymend::domain::remedy::Remedy;
use keymend::drill::cloud::world::LockSpec;
use keymend::remedy::Applied;

use crate::gate::Do;
use crate::lab::{Lab, REMEDIES, world};

/// The right that each remedy's write takes.
fn right(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::AssignIdentity => "Microsoft.Sql/servers/write",
        Remedy::AddAccessPolicy => "Microsoft.KeyVault/vaults/accessPolicies/write",
        Remedy::AssignRole => "Microsoft.Authorization/roleAssignments/write",
        Remedy::RecoverVault | Remedy::TrustedServicesBypass => "Microsoft.KeyVault/vaults/write",
        Remedy::RecoverKey => "Microsoft.KeyVault/vaults/keys/recover/action",
        Remedy::EnableKey | Remedy::ExtendExpiry => "Microsoft.KeyVault/vaults/keys/update/action",
        Remedy::RestoreSettings => "Microsoft.Sql/servers/databases/write",
        Remedy::Revalidate | Remedy::Wait => "Microsoft.Sql/servers/encryptionProtector/revalidate/action",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_with_its_role_and_nothing_is_changed() {
    for remedy in REMEDIES {
        let lab = Lab::of(world(remedy).without_right(right(remedy))).await;
        lab.break_for(remedy);
        let change = lab.change(remedy).await;
        let applied = lab.apply_one(&change).await;
        let Applied::Failed { code, why, missing: Some(missing) } = applied else { panic!("{remedy}: {applied:?}") };
        assert_eq!(code, "AuthorizationFailed");
        assert_eq!(missing.action.to_lowercase(), right(remedy).to_lowercase(), "{remedy}");
        assert!(why.contains(&missing.action) && why.contains(&missing.scope) && why.contains(".json"), "{why}");
        assert!(!missing.scope.is_empty(), "{remedy}");
        assert!(!lab.gate.writes().iter().any(|write| write.took()), "{remedy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_lock_is_respected() {
    for remedy in REMEDIES {
        let mut world = world(remedy);
        for (name, scope) in [("freeze-sql", "rg-data"), ("freeze-keys", "rg-keys")] {
            world.locks.push(LockSpec {
                name: name.to_owned(),
                level: "ReadOnly".to_owned(),
                scope: format!("/subscriptions/{}/resourceGroups/{scope}", world.subscription),
            });
        }
        let lab = Lab::of(world).await;
        lab.break_for(remedy);
        let change = lab.change(remedy).await;
        let applied = lab.apply_one(&change).await;
        if matches!(remedy, Remedy::RecoverKey | Remedy::EnableKey | Remedy::ExtendExpiry) {
            // Locks bind the Resource Manager, not a vault's own data plane.
            assert!(matches!(applied, Applied::Made(_) | Applied::Running { .. }), "{remedy}: {applied:?}");
            continue;
        }
        let Applied::Failed { code, why, missing: None } = applied else { panic!("{remedy}: {applied:?}") };
        assert_eq!(code, "ScopeLocked", "{remedy}");
        assert!(why.contains("never lifts a lock"), "{why}");
        assert!(!lab.gate.writes().iter().any(|write| write.took()), "{remedy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_says_when_to_come_back() {
    for remedy in REMEDIES {
        for reads_too in [false, true] {
            let lab = Lab::broken(remedy).await;
            let change = lab.change(remedy).await;
            lab.gate.rule(move |request, _| match request.is_write() || reads_too {
                true => Do::error(429, "TooManyRequests").with("retry-after", "300"),
                false => Do::Pass,
            });
            let applied = lab.apply_one(&change).await;
            let Applied::Later { after, .. } = &applied else { panic!("{remedy}: {applied:?}") };
            assert_eq!(*after, Some(SignedDuration::from_secs(300)), "{remedy}");
            lab.gate.open();
            lab.settle(&change).await;
            assert!(lab.is_mended(&change).await, "{remedy}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_azure_is_busy_with_is_tried_later() {
    for (remedy, status, code) in [
        (Remedy::Revalidate, 409, "EncryptionProtectorChangeInProgress"),
        (Remedy::Revalidate, 400, "CMKOperationNotAllowed"),
        (Remedy::AssignIdentity, 409, "ConflictingServerOperation"),
        (Remedy::RecoverVault, 409, "ConflictError"),
        (Remedy::RecoverKey, 409, "Conflict"),
    ] {
        let lab = Lab::broken(remedy).await;
        let change = lab.change(remedy).await;
        lab.gate.rule(move |request, _| if request.is_write() { Do::error(status, code) } else { Do::Pass });
        let applied = lab.apply_one(&change).await;
        let Applied::Later { after: Some(_), why } = &applied else { panic!("{remedy}: {applied:?}") };
        assert!(why.contains(code), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sql_found_out_comes_back_as_its_code() {
    // Some API versions say 401 and others 400: only the code counts.
    for (status, code) in [
        (400, "AzureKeyVaultMissingPermissions"),
        (401, "AzureKeyVaultMissingPermissions"),
        (401, "AzureKeyVaultKeyDisabled"),
        (409, "AzureKeyVaultKeyNameNotFound"),
    ] {
        let lab = Lab::broken(Remedy::Revalidate).await;
        let change = lab.change(Remedy::Revalidate).await;
        lab.gate.rule(move |_, _| Do::error(status, code));
        let applied = lab.apply_one(&change).await;
        let Applied::Failed { code: told, missing: None, .. } = &applied else { panic!("{applied:?}") };
        assert_eq!(told, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_shuts_keymend_out_is_no_missing_right() {
    for remedy in [Remedy::RecoverKey, Remedy::EnableKey, Remedy::ExtendExpiry] {
        let lab = Lab::broken(remedy).await;
        let change = lab.change(remedy).await;
        let body = serde_json::json!({"error": {
            "code": "Forbidden",
            "message": "Client address is not authorized and caller is not a trusted service.",
            "innererror": {"code": "ForbiddenByFirewall"},
        }});
        lab.gate.rule(move |_, _| Do::Answer(403, vec![], body.to_string()));
        let applied = lab.apply_one(&change).await;
        let Applied::Failed { code, why, missing: None } = &applied else { panic!("{remedy}: {applied:?}") };
        assert_eq!(code, "ForbiddenByFirewall");
        assert!(why.contains("firewall"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_hides_disabled_keys_is_understood() {
    let lab = Lab::broken(Remedy::EnableKey).await;
    let change = lab.change(Remedy::EnableKey).await;
    let mut enabled = false;
    let body = serde_json::json!({"error": {
        "code": "Forbidden",
        "message": "Operation get is not allowed on a disabled key.",
        "innererror": {"code": "KeyDisabled"},
    }});
    lab.gate.rule(move |request, _| {
        enabled |= request.is_write();
        if enabled { Do::Pass } else { Do::Answer(403, vec![], body.to_string()) }
    });
    let applied = lab.apply_one(&change).await;
    assert!(matches!(applied, Applied::Made(_)), "{applied:?}");
    assert!(lab.is_mended(&change).await);
}
