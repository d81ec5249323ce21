//! Rights: all there, each one missing, denied, in one of two places, under conditions.

use keymend::domain::remedy::Remedy;
use keymend::domain::rights::{CustomRole, DIAGNOSIS, Right, needed};
use keymend::drill::cloud::World;
use keymend::drill::cloud::world::{DenySpec, PermissionModel, ServerSpec, VaultSpec};
use serde_json::Value;

use crate::clinic::{Clinic, OBJECT, SUB, check, checks, commands, in_state, lacking, well};

/// A world in which the right is needed.
fn world_for(remedy: Option<Remedy>, right: &Right) -> World {
    let world = match remedy {
        Some(Remedy::AddAccessPolicy) => World::standard().model(PermissionModel::Policy),
        _ => World::standard(),
    };
    well(if right.name.contains("ManagedIdentity") { world.user_assigned() } else { world })
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_right_all_is_well() {
    for world in
        [World::standard(), World::standard().model(PermissionModel::Policy), World::standard().user_assigned()]
    {
        let clinic = Clinic::open(well(world)).await;
        let (code, report) = clinic.report().await;
        assert_eq!((code, &report["well"]), (0, &Value::Bool(true)), "{report:#}");
        let not_ok: Vec<_> = checks(&report).into_iter().filter(|check| check["state"] != "ok").collect();
        assert!(not_ok.is_empty(), "{not_ok:#?}");
        let effects =
            clinic.cloud.requests().iter().filter(|request| request.effect || request.method == "PUT").count();
        assert_eq!(effects, 0, "a doctor only looks");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_that_is_missing_is_named_with_the_command_that_gives_it() {
    let mut jobs: Vec<(Option<Remedy>, Right)> = DIAGNOSIS.iter().map(|right| (None, *right)).collect();
    for remedy in Remedy::ALL {
        jobs.extend(needed(remedy).iter().map(|right| (Some(remedy), *right)));
    }
    assert_eq!(jobs.len(), 39);
    for (remedy, right) in jobs {
        let world = world_for(remedy, &right);
        let without = world.clone().without_right(right.name);
        assert_ne!(without, world, "the cloud gave {} in the first place", right.name);
        let clinic = Clinic::open(without).await;
        let (code, report) = clinic.report().await;
        assert_eq!(code, 1, "{}: {report:#}", right.name);
        let rights: std::collections::BTreeSet<String> = lacking(&report).into_iter().map(|(right, _)| right).collect();
        assert_eq!(rights.into_iter().collect::<Vec<_>>(), [right.name], "{remedy:?}: {report:#}");
        if let Some(remedy) = remedy {
            let named = in_state(&report, "missing").into_iter().any(|check| check["name"] == remedy.name());
            assert!(named, "{} is missing for {remedy}: {report:#}", right.name);
        }
        let commands = commands(&report);
        let role = right.role;
        assert!(commands.contains(role.file()) && commands.contains("az role definition update"), "{commands}");
        omitted(&clinic, &right);
    }
}

/// The cloud's own answers did not show the right: neither as held, nor by letting us read.
fn omitted(clinic: &Clinic, right: &Right) {
    let list = if right.data { "dataActions" } else { "actions" };
    for exchange in
        clinic.cloud.requests().iter().filter(|one| one.url.contains("/roleDefinitions/") && one.status == 200)
    {
        let body = exchange.response_body.as_ref().unwrap();
        let held = body["properties"]["permissions"][0][list].as_array().unwrap();
        assert!(!held.iter().any(|action| action == right.name), "{} was shown as held", right.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_permissions_count_in_a_vault_with_access_policies() {
    for (lost, remedies) in [
        ("update", vec!["enable_key", "extend_expiry"]),
        ("recover", vec!["recover_key"]),
        ("get", vec!["recover_key", "enable_key", "extend_expiry"]),
    ] {
        let mut world = well(World::standard().model(PermissionModel::Policy));
        world.vaults[0].responder_may.retain(|permission| permission != lost);
        let clinic = Clinic::open(world).await;
        let (code, report) = clinic.report().await;
        assert_eq!(code, 1);
        let vault = format!("{SUB}/resourceGroups/rg-keys/providers/Microsoft.KeyVault/vaults/contoso-kv");
        assert_eq!(lacking(&report).into_iter().collect::<Vec<_>>(), [(format!("keys {lost}"), vault)]);
        let missing: Vec<_> =
            in_state(&report, "missing").iter().map(|check| check["name"].as_str().unwrap()).collect();
        assert_eq!(missing, remedies);
        let run = format!(
            "az keyvault set-policy --name contoso-kv --object-id {OBJECT} --key-permissions get list update recover"
        );
        assert!(commands(&report).contains(&run));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_assignment_outweighs_every_role() {
    let mut world = well(World::standard());
    world.denies.push(DenySpec {
        name: "hands off the vaults".to_owned(),
        scope: format!("{SUB}/resourceGroups/rg-keys"),
        principals: vec![OBJECT.to_owned()],
        actions: vec!["Microsoft.KeyVault/*/write".to_owned()],
        data_actions: Vec::new(),
    });
    let (code, report) = Clinic::open(world).await.report().await;
    assert_eq!(code, 1);
    let missing = in_state(&report, "missing");
    let names: Vec<_> = missing.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["recover_vault", "trusted_services_bypass"]);
    assert!(missing.iter().all(|check| check["said"].as_str().unwrap().contains("hands off the vaults")));
    assert_eq!(commands(&report), "", "no role outweighs it, so none is offered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_assignment_for_another_binds_nobody_here() {
    let mut world = well(World::standard());
    world.denies.push(DenySpec {
        scope: SUB.to_owned(),
        principals: vec!["aaaaaaaa-0000-4000-8000-000000000000".to_owned()],
        actions: vec!["*".to_owned()],
        ..DenySpec::default()
    });
    assert_eq!(Clinic::open(world).await.report().await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_held_in_one_of_two_groups_is_missing_in_the_other() {
    let mut world = well(World::standard());
    let other =
        ServerSpec { name: "other-sql".to_owned(), resource_group: "rg-other".to_owned(), ..ServerSpec::default() };
    world.servers.push(other);
    for role in world.responder.roles.iter_mut().filter(|role| role.name == CustomRole::Identity.name()) {
        role.scope = Some(format!("{SUB}/resourceGroups/rg-data"));
    }
    let clinic = Clinic::open(world).await;
    for settings in ["", &two_groups()] {
        clinic.settings(settings);
        let (code, report) = clinic.report().await;
        assert_eq!(code, 1);
        let other = format!("{SUB}/resourceGroups/rg-other");
        let right = "Microsoft.Sql/servers/write".to_owned();
        assert_eq!(lacking(&report).into_iter().collect::<Vec<_>>(), [(right, other.clone())]);
        let commands = commands(&report);
        assert!(
            commands.contains(&format!("--role \"{}\" --scope {other}", CustomRole::Identity.name())),
            "{commands}"
        );
        assert!(commands.contains(&format!("--assignee-object-id {OBJECT}")));
        assert!(!commands.contains("az role definition"), "the role is there: {commands}");
    }
}

fn two_groups() -> String {
    let groups = ["rg-data", "rg-other", "rg-keys"].map(|group| format!("\"{SUB}/resourceGroups/{group}\"")).join(", ");
    format!("[scope]\nresources = [{groups}]")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_not_there_is_made_first() {
    let mut world = well(World::standard());
    world.responder.roles.retain(|role| role.name != CustomRole::VaultWrite.name());
    let (code, report) = Clinic::open(world).await.report().await;
    assert_eq!(code, 1);
    let run = check(&report, "trusted_services_bypass")["fix"]["run"].as_array().unwrap();
    let run: Vec<&str> = run.iter().map(|command| command.as_str().unwrap()).collect();
    assert!(run[0].contains("11111111-2222-3333-4444-555555555555") && run[0].contains(CustomRole::VaultWrite.file()));
    assert!(run[1].starts_with("az role definition create") && run[2].starts_with("az role assignment create"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_a_deployment_made_is_brought_up_to_its_file_under_its_own_name() {
    let mut world = well(World::standard().without_right("Microsoft.KeyVault/vaults/write"));
    for role in &mut world.responder.roles {
        role.name.push_str(" (prod)");
    }
    let (code, report) = Clinic::open(world).await.report().await;
    let commands = commands(&report);
    assert_eq!(code, 1);
    let name = CustomRole::VaultWrite.name();
    assert!(commands.contains(&format!("-e 's|\"{name}\"|\"{name} (prod)\"|'")), "{commands}");
    assert!(commands.contains("az role definition update") && !commands.contains("az role assignment"), "{commands}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_watches_needs_no_right_to_write() {
    let mut world = well(World::standard());
    world.responder.roles.retain(|role| role.name == CustomRole::Probe.name());
    let clinic = Clinic::open(world).await;
    clinic.settings("[policy]\npreset = \"observe\"");
    let (code, report) = clinic.report().await;
    assert_eq!(code, 0, "{report:#}");
    assert!(lacking(&report).is_empty());
    // The same rights under the usual preset are not enough.
    clinic.settings("");
    let (code, report) = clinic.report().await;
    assert_eq!(code, 1);
    let writes = lacking(&report).into_iter().filter(|(right, _)| !right.ends_with("/read")).count();
    assert!(writes >= 6, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_off_needs_no_right() {
    let clinic = Clinic::open(well(World::standard().without_right("Microsoft.KeyVault/vaults/write"))).await;
    clinic.settings("[remedies]\nrecover_vault = \"off\"\ntrusted_services_bypass = \"off\"");
    assert_eq!(clinic.report().await.0, 0);
    clinic.settings("[remedies]\nrecover_vault = \"off\"");
    let (code, report) = clinic.report().await;
    assert_eq!((code, in_state(&report, "missing").len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_is_not_ours_is_told() {
    let mut world = well(World::standard());
    for role in world.responder.roles.iter_mut().filter(|role| role.name == CustomRole::Grant.name()) {
        role.condition = Some("(@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {acdd72a7-3385-48ef-bd42-f606fba81ae7})".to_owned());
    }
    let (code, report) = Clinic::open(world.clone()).await.report().await;
    assert_eq!((code, &check(&report, "assign_role")["state"]), (0, &Value::from("warning")));
    // The same condition on another role cannot be judged.
    for role in world.responder.roles.iter_mut().filter(|role| role.name == CustomRole::Revalidate.name()) {
        role.condition = Some("(@Resource[x] StringEquals 'y')".to_owned());
    }
    let (_, report) = Clinic::open(world).await.report().await;
    let conditional = in_state(&report, "warning").into_iter().filter(|check| check["name"] == "revalidate").count();
    assert_eq!(conditional, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_out_of_scope_is_told_and_asks_for_no_right() {
    let mut world = well(World::standard());
    let keys = VaultSpec { resource_group: "rg-legal".to_owned(), ..VaultSpec::default() };
    world.vaults = vec![keys];
    let clinic = Clinic::open(world).await;
    clinic.settings(&format!(
        "[scope]\nsubscriptions = [\"{}\"]\nexcept = [\"{SUB}/resourceGroups/rg-legal\"]",
        SUB.rsplit('/').next().unwrap()
    ));
    let (code, report) = clinic.report().await;
    assert_eq!(code, 0);
    assert_eq!(check(&report, "vault out of scope")["state"], "warning");
}
