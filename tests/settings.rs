//! `keymend.toml` and the environment: what is accepted, and what a person is told about the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use keymend::azure::{Cloud, CredentialConfig};
use keymend::domain::notice::Situation;
use keymend::domain::policy::{Gates, Mode, Policy, Preset};
use keymend::domain::remedy::Remedy;
use keymend::settings::{Problems, Settings, StoreChoice, StoreLocation};
use keymend::store::AzureStorageSettings;
use keymend::store::azure::StorageAccess;
use proptest::prelude::*;

const SCOPE: &str = "[scope]\nsubscriptions = [\"11111111-2222-3333-4444-555555555555\"]\n";

fn load(text: &str, env: &[(&str, &str)]) -> Result<Settings, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keymend.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::write(folder.path().join("secret.txt"), "from-a-file\n").unwrap();
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    Settings::load(Some(&file), &|name| env.get(name).map(|&value| value.to_owned()))
}

fn good(text: &str, env: &[(&str, &str)]) -> Settings {
    load(text, env).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The words about what is wrong.
fn wrong(text: &str, env: &[(&str, &str)]) -> String {
    match load(text, env) {
        Ok(settings) => panic!("accepted: {settings:?}"),
        Err(problems) => problems.to_string(),
    }
}

fn says(words: &str, parts: &[&str]) {
    for part in parts {
        assert!(words.contains(part), "{part:?} is not said in:\n{words}");
    }
}

#[test]
fn a_scope_alone_is_enough_and_everything_else_has_a_careful_default() {
    let settings = good(SCOPE, &[]);
    let Policy { preset, window_minutes, dry_run, gates, remedies, .. } = &settings.policy;
    assert_eq!((*preset, *window_minutes, *dry_run), (Preset::Guarded, 30, false));
    assert_eq!((gates, remedies.len()), (&Gates::default(), 0));
    assert_eq!(settings.azure.endpoints.cloud(), Cloud::Public);
    assert_eq!(settings.azure.credential, CredentialConfig::ManagedIdentity { client_id: None });
    assert!(settings.server.listen.ip().is_loopback());
    assert!(
        settings.server.webhook_secrets.is_empty()
            && settings.channels.teams.is_none()
            && settings.channels.webhook.is_none()
    );
}

#[test]
fn the_example_can_be_used_as_it_is() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/keymend.example.toml")).unwrap();
    let settings = good(&text, &[]);
    assert_eq!(settings.policy.preset, Preset::Guarded);
    // What is commented out is correct, too: each such line names a setting and its default or an example.
    let all: String =
        text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).flat_map(|line| [line, "\n"]).collect();
    let env = [
        ("KEYMEND_WEBHOOK_SECRET", "s"),
        ("KEYMEND_TEAMS_URL", "https://flow.example/x"),
        ("KEYMEND_EVENTS_SECRET", "k"),
        ("KEYMEND_SLACK_URL", "https://hooks.example/services/x"),
        ("KEYMEND_SERVICENOW_SECRET", "k"),
        ("KEYMEND_PAGERDUTY_KEY", "0123456789abcdef0123456789abcdef"),
        ("KEYMEND_JSM_KEY", "k"),
        ("KEYMEND_JIRA_TOKEN", "k"),
        ("KEYMEND_LINK_SECRET", "0123456789abcdef0123456789abcdef"),
        // The platform says that it checks sign-ins.
        ("WEBSITE_AUTH_ENABLED", "True"),
    ];
    let settings = good(&all, &env);
    assert!(settings.faults.is_empty(), "{:?}", settings.faults);
    let channels = &settings.channels;
    assert!(channels.teams.is_some() && channels.slack.is_some() && channels.webhook.is_some());
    assert!(channels.servicenow.is_some() && channels.pagerduty.is_some() && channels.jsm.is_some());
    assert!(channels.jira.is_some());
    let tokens = settings.callers.tokens.as_ref().expect("the application is named");
    let client = "cccccccc-0000-0000-0000-000000000001";
    assert_eq!(tokens.audiences, [client, &format!("api://{client}"), "api://keymend"]);
    assert_eq!(channels.notify.heartbeat, Some(jiff::SignedDuration::from_hours(30 * 24)));
    assert_eq!(
        settings.policy.gates,
        Gates {
            custodians: settings.policy.gates.custodians.clone(),
            pipelines: settings.policy.gates.pipelines.clone(),
            ..Gates::default()
        }
    );
}

#[test]
fn whose_tokens_are_taken_is_said_in_full_or_not_at_all() {
    let client = "client_id = \"cccccccc-0000-0000-0000-000000000001\"\n";
    let tenant = "tenant_id = \"99999999-8888-7777-6666-555555555555\"\n";
    assert_eq!(good(SCOPE, &[]).callers, Default::default());
    let own = good(&format!("{SCOPE}[callers]\n{client}{tenant}"), &[]).callers;
    let of_azure = good(&format!("{SCOPE}[azure]\n{tenant}[callers]\n{client}"), &[]).callers;
    assert_eq!(own, of_azure);
    assert!(!own.secret_is_enough, "a token is wanted");
    let tokens = own.tokens.unwrap();
    assert_eq!(tokens.tenant.login().as_str(), "https://login.microsoftonline.com/");
    assert_eq!(tokens.action_groups.id, "461e8683-5575-4561-ac7f-899cc907d62a");
    let government = good(&format!("{SCOPE}[azure]\ncloud = \"us_government\"\n[callers]\n{client}{tenant}"), &[]);
    let tokens = government.callers.tokens.unwrap();
    assert_eq!(tokens.tenant.login().as_str(), "https://login.microsoftonline.us/");
    assert_ne!(tokens.event_grid.id, "4962773b-9cdb-44cf-a8bf-237846a00ab7");
    for (text, words_of_it) in [
        (client.to_owned(), ["callers.tenant_id", "not named"]),
        (format!("{client}tenant_id = \"common\"\n"), ["callers.tenant_id", "no such id"]),
        (tenant.to_owned() + "accept = \"token\"\n", ["callers.client_id", "not named"]),
        (format!("{client}{tenant}accept = \"either\"\n"), ["callers.accept", "token_or_secret"]),
        (
            format!("{client}{tenant}metadata_endpoint = \"http://login.example\"\n"),
            ["callers.metadata_endpoint", "loopback"],
        ),
        (format!("{client}{tenant}secret = \"planted\"\n"), ["callers.secret", "no such setting"]),
    ] {
        says(&wrong(&format!("{SCOPE}[callers]\n{text}"), &[]), &words_of_it);
    }
}

#[test]
fn nothing_in_scope_is_an_error_and_never_everything() {
    for text in ["", "[scope]\n", "[scope]\nsubscriptions = []\nresources = []\n"] {
        let words = wrong(text, &[]);
        says(&words, &["scope", "nothing is in scope", "subscriptions = [", "resources = ["]);
    }
    let kv = "/subscriptions/s1/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv";
    let words =
        wrong(&format!("[scope]\nresources = [\"{kv}\"]\nexcept = [\"/subscriptions/S1/resourceGroups/RG\"]\n"), &[]);
    says(&words, &["scope.except", "takes away everything"]);
}

#[test]
fn all_that_is_wrong_is_said_at_once_with_what_to_write_instead() {
    let words = wrong(
        r#"
        stray = 1
        [scope]
        subscriptions = ["contoso"]
        resources = ["nonsense", 7, "/subscriptions/s1/resourceGroups/rg/providers/Microsoft.Sql/servers/a/databases/b"]
        excpet = []
        [policy]
        preset = "gaurded"
        window_minutes = 0
        dry_run = "perhaps"
        [remedies]
        recover-valt = "auto"
        recover_key = "yes"
        [gates]
        max_servers = -3
        hold_tag = ""
        custodians = ["a"]
        pipelines = ["A"]
        [azure]
        cloud = "germany"
        arm_endpoint = "http://10.0.0.1"
        [server]
        listen = "nowhere"
        max_body_bytes = 5
        [store]
        location = "postgres://x"
        [polcy]
        x = 1
        "#,
        &[],
    );
    says(
        &words,
        &[
            "scope.subscriptions = \"contoso\"",
            "scope.resources = \"nonsense\"",
            "scope.resources = 7",
            "databases/b\": this is a part of a resource. Name the server",
            "did you mean \"except\"?",
            "policy.preset = \"gaurded\"",
            "observe, guarded or auto; did you mean \"guarded\"?",
            "policy.window_minutes = 0",
            "policy.dry_run = \"perhaps\"",
            "remedies.recover-valt",
            "did you mean \"recover_vault\"?",
            "remedies.recover_key = \"yes\"",
            "off, approve or auto",
            "gates.max_servers = -3",
            "gates.hold_tag",
            "gates.pipelines = \"a\"",
            "azure.cloud = \"germany\"",
            "public, us_government or china",
            "azure.arm_endpoint = \"http://10.0.0.1\"",
            "loopback",
            "server.listen = \"nowhere\"",
            "server.max_body_bytes = 5",
            "store.location",
            "sqlite:keymend.db",
            "[polcy]",
            "did you mean \"policy\"?",
            "stray",
        ],
    );
}

#[test]
fn a_file_that_is_no_toml_or_not_there_says_where() {
    says(&wrong("[scope]\nsubscriptions = [\n\n\"x\"", &[]), &["keymend.toml", "line "]);
    let missing = Settings::load(Some("/nowhere/keymend.toml".as_ref()), &|_| None).unwrap_err().to_string();
    says(&missing, &["/nowhere/keymend.toml", "cannot be read", "--config"]);
}

#[test]
fn remedies_and_gates_are_set_one_by_one() {
    let text = format!(
        "{SCOPE}[policy]\npreset = \"auto\"\n[remedies]\nrecover_vault = \"approve\"\nextend_expiry = \"off\"\n[gates]\nmax_servers = 5\ncustodians = [\"sec@contoso.example\"]\n"
    );
    let policy = good(&text, &[]).policy;
    assert_eq!(policy.mode(Remedy::RecoverVault), Mode::Approve);
    assert_eq!(policy.mode(Remedy::ExtendExpiry), Mode::Off);
    assert_eq!(policy.mode(Remedy::RecoverKey), Mode::Auto);
    assert_eq!((policy.gates.max_servers, policy.gates.writes_per_hour), (5, Gates::default().writes_per_hour));
    assert_eq!(policy.gates.custodians, ["sec@contoso.example"]);
}

#[test]
fn the_environment_wins_and_is_checked_as_well() {
    let env = [
        ("KEYMEND_SUBSCRIPTIONS", "aaaaaaaa-2222-3333-4444-555555555555, bbbbbbbb-2222-3333-4444-555555555555"),
        ("KEYMEND_PRESET", "observe"),
        ("KEYMEND_WINDOW_MINUTES", "480"),
        ("KEYMEND_DRY_RUN", "true"),
        ("KEYMEND_LISTEN", "0.0.0.0:7071"),
        ("KEYMEND_STORE", "sqlite:/var/lib/keymend.db"),
    ];
    let settings = good(&format!("{SCOPE}[policy]\npreset = \"auto\"\n"), &env);
    assert_eq!(settings.policy.scope.subscriptions.len(), 2);
    assert!(!settings.policy.scope.subscriptions.contains(&"11111111-2222-3333-4444-555555555555".to_owned()));
    assert_eq!((settings.policy.preset, settings.policy.window_minutes), (Preset::Observe, 480));
    assert!(settings.policy.dry_run);
    assert_eq!(settings.server.listen.to_string(), "0.0.0.0:7071");
    assert_eq!(settings.store, StoreLocation::Sqlite("/var/lib/keymend.db".into()));
    says(&wrong(SCOPE, &[("KEYMEND_PRESET", "autmatic")]), &["KEYMEND_PRESET = \"autmatic\""]);
    says(&wrong(SCOPE, &[("KEYMEND_WINDOW_MINUTES", "soon")]), &["KEYMEND_WINDOW_MINUTES", "minutes"]);
    let unresolved = [("KEYMEND_SUBSCRIPTIONS", "@Microsoft.KeyVault(SecretUri=https://v/secrets/n)")];
    says(&wrong(SCOPE, &unresolved), &["KEYMEND_SUBSCRIPTIONS", "Key Vault reference"]);
}

#[test]
fn a_relative_store_is_beside_the_file() {
    let StoreLocation::Sqlite(path) = good(&format!("{SCOPE}[store]\nlocation = \"sqlite:data/k.db\"\n"), &[]).store
    else {
        panic!("a file was named")
    };
    assert!(path.is_absolute() && path.ends_with("data/k.db"), "{path:?}");
    for bad in ["sqlite:", "sqlite::memory:", "keymend.db", "azure:x", "azurite"] {
        assert!(bad.parse::<StoreChoice>().is_err(), "{bad}");
    }
}

/// The account that `location = "azure"` finds in this environment.
fn storage(env: &[(&str, &str)]) -> AzureStorageSettings {
    match good(&format!("{SCOPE}[store]\nlocation = \"azure\"\n"), env).store {
        StoreLocation::Azure(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_storage_account_is_the_one_that_the_host_has() {
    let by_name = [("AzureWebJobsStorage__accountName", "stkeymend")];
    let found = storage(&by_name);
    assert_eq!(found.account.blob.as_str(), "https://stkeymend.blob.core.windows.net/");
    assert_eq!(found.account.queue.as_str(), "https://stkeymend.queue.core.windows.net/");
    assert_eq!((found.container.as_str(), found.queue.as_str()), ("keymend", "keymend-jobs"));
    assert_eq!(found.poison_queue(), "keymend-jobs-poison");

    let by_address = [
        ("AzureWebJobsStorage__blobServiceUri", "https://st.blob.core.usgovcloudapi.net"),
        ("AzureWebJobsStorage__queueServiceUri", "https://st.queue.core.usgovcloudapi.net/"),
        ("KEYMEND_CONTAINER", "mine"),
        ("KEYMEND_JOBS_QUEUE", "bells"),
    ];
    let found = storage(&by_address);
    assert_eq!((found.account.name(), found.container.as_str(), found.queue.as_str()), ("st", "mine", "bells"));

    let both = [("AzureWebJobsStorage", "UseDevelopmentStorage=true"), by_name[0]];
    assert_eq!(storage(&both).account.blob.as_str(), "http://127.0.0.1:10000/devstoreaccount1", "as the host decides");
    let by_variable = good(SCOPE, &[("KEYMEND_STORE", "azure"), by_name[0]]).store;
    assert!(by_variable.to_string().contains("stkeymend"), "{by_variable}");
}

#[test]
fn the_identity_of_the_storage_account_is_the_hosts() {
    let identity = |more: &[(&str, &str)]| {
        let env: Vec<_> = more.iter().copied().chain([("AzureWebJobsStorage__accountName", "stkeymend")]).collect();
        match storage(&env).account.access {
            StorageAccess::Identity(credential) => credential,
            other => panic!("{other:?}"),
        }
    };
    let client = ("AzureWebJobsStorage__clientId", "c");
    let managed = |id: Option<&str>| CredentialConfig::ManagedIdentity { client_id: id.map(str::to_owned) };
    assert_eq!(identity(&[("AzureWebJobsStorage__credential", "ManagedIdentity"), client]), managed(Some("c")));
    assert_eq!(identity(&[("AzureWebJobsStorage__credential", "managedidentity")]), managed(None));
    assert_eq!(identity(&[("IDENTITY_ENDPOINT", "http://127.0.0.1:41/msi")]), managed(None), "on the platform");
    assert_eq!(identity(&[]), CredentialConfig::DeveloperTools { tenant_id: None }, "on a laptop");
    let token_file = ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/token");
    let pod = CredentialConfig::WorkloadIdentity { tenant_id: None, client_id: Some("c".to_owned()) };
    assert_eq!(identity(&[token_file, client]), pod);
    let secret = [client, ("AzureWebJobsStorage__tenantId", "t"), ("AzureWebJobsStorage__clientSecret", "topsecret")];
    assert!(matches!(identity(&secret), CredentialConfig::ClientSecret { .. }));
    assert!(!format!("{:?}", identity(&secret)).contains("topsecret"));
}

#[test]
fn what_is_wrong_with_the_storage_account_is_said_without_its_key() {
    let azure = format!("{SCOPE}[store]\nlocation = \"azure\"\n");
    says(&wrong(&azure, &[]), &["AzureWebJobsStorage__blobServiceUri", "AzureWebJobsStorage__accountName"]);
    let named = |name: &'static str| [("AzureWebJobsStorage__accountName", name)];
    says(
        &wrong(&azure, &named("https://st.blob.core.windows.net")),
        &["AzureWebJobsStorage__accountName", "name alone"],
    );
    let open = [("AzureWebJobsStorage__blobServiceUri", "http://st.blob.core.windows.net"), named("st1")[0]];
    says(&wrong(&azure, &open), &["AzureWebJobsStorage__blobServiceUri", "https://"]);
    for (setting, name) in [("KEYMEND_CONTAINER", "No"), ("KEYMEND_CONTAINER", "a--b"), ("KEYMEND_JOBS_QUEUE", "-jobs")]
    {
        says(&wrong(&azure, &[named("st1")[0], (setting, name)]), &[setting, name, "small letters"]);
    }
    let long = "q".repeat(57);
    says(&wrong(&azure, &[named("st1")[0], ("KEYMEND_JOBS_QUEUE", &long)]), &["KEYMEND_JOBS_QUEUE", "56"]);
    for (value, named) in [
        ("AccountName=st1;AccountKey=topsecret!", "base64"),
        ("AccountName=st1;SharedAccessSignature=topsecret", "sig="),
        ("@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/topsecret)", "Key Vault reference"),
    ] {
        let words = wrong(&azure, &[("AzureWebJobsStorage", value)]);
        says(&words, &["AzureWebJobsStorage", named]);
        assert!(!words.contains("topsecret"), "{words}");
    }
}

#[test]
fn webhook_secrets_come_from_anywhere_and_several_count() {
    let values = |text: &str, env: &[(&str, &str)]| -> Vec<String> {
        let settings = good(&format!("{SCOPE}{text}"), env);
        assert!(settings.faults.is_empty(), "{:?}", settings.faults);
        settings.server.webhook_secrets.iter().map(|secret| secret.expose().to_owned()).collect()
    };
    assert_eq!(values("", &[("KEYMEND_WEBHOOK_SECRET", "one\ntwo")]), ["one", "two"]);
    assert_eq!(values("[server]\nwebhook_secret_file = \"secret.txt\"\n", &[]), ["from-a-file"]);
    let several = "[server]\nwebhook_secret_env = [\"NEW\", \"OLD\"]\nwebhook_secret_file = \"secret.txt\"\n";
    assert_eq!(values(several, &[("NEW", "n"), ("OLD", "o")]), ["n", "o", "from-a-file"]);
    assert_eq!(
        values("[server]\nwebhook_secret_env = \"KEYMEND_WEBHOOK_SECRET\"\n", &[("KEYMEND_WEBHOOK_SECRET", "x")]),
        ["x"]
    );
}

#[test]
fn a_secret_that_cannot_be_had_is_a_fault_of_the_channel_alone() {
    let reference = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/teams/)";
    let text = format!(
        "{SCOPE}[teams]\nurl_env = \"TEAMS\"\n[webhook]\nurl = \"https://hooks.contoso.example/k\"\nsecret_file = \"none.txt\"\n"
    );
    let settings = good(&text, &[("TEAMS", reference), ("KEYMEND_WEBHOOK_SECRET", "good-secret")]);
    assert!(settings.channels.teams.is_none() && settings.channels.webhook.is_none(), "both channels are off");
    assert_eq!(settings.server.webhook_secrets.len(), 1, "alerts are taken all the same");
    let words: Vec<String> = settings.faults.iter().map(ToString::to_string).collect();
    says(
        &words.join("\n"),
        &["teams.url_env", "TEAMS", "unresolved Key Vault reference", "webhook.secret_file", "none.txt"],
    );
    assert!(!words.join("").contains("secrets/teams"), "{words:?}");
    let literal = good(&format!("{SCOPE}[teams]\nurl = \"{reference}\"\n"), &[]);
    says(&literal.faults[0].to_string(), &["teams.url"]);
}

#[test]
fn channels_need_https_and_a_signature() {
    let insecure = wrong(&format!("{SCOPE}[teams]\nurl = \"http://flow.example/?sig=topsecret\"\n"), &[]);
    says(&insecure, &["teams.url", "https"]);
    assert!(!insecure.contains("topsecret"), "{insecure}");
    let unsigned = wrong(&format!("{SCOPE}[webhook]\nurl = \"https://hooks.example/\"\n"), &[]);
    says(&unsigned, &["webhook.secret_env", "KEYMEND_EVENTS_SECRET", "openssl"]);
    let local = good(&format!("{SCOPE}[teams]\nurl = \"http://127.0.0.1:9/\"\n"), &[]);
    assert!(local.channels.teams.is_some());
    let misspelled = wrong(&format!("{SCOPE}[teams]\nulr = \"https://flow.example/?sig=topsecret\"\n"), &[]);
    says(&misspelled, &["teams.ulr", "did you mean \"url\"?"]);
    assert!(!misspelled.contains("topsecret"), "a misspelled secret is still one: {misspelled}");
}

#[test]
fn a_simulated_cloud_is_on_this_machine_or_not_at_all() {
    let text = format!("{SCOPE}[azure]\narm_endpoint = \"http://127.0.0.1:9090\"\n[simulated]\nfollow_clock = true\n");
    let azure = good(&text, &[]).azure;
    assert!(azure.follow_clock && azure.endpoints.on_this_machine());
    assert!(matches!(azure.credential, CredentialConfig::Static(_)), "{:?}", azure.credential);
    let far = wrong(&format!("{SCOPE}[azure]\nstatic_token = \"topsecret\"\n[simulated]\nfollow_clock = true\n"), &[]);
    says(&far, &["azure.static_token", "simulated.follow_clock", "keymend sim"]);
    assert!(!far.contains("topsecret"), "{far}");
    let vault = wrong(&format!("{SCOPE}[azure]\nvault_endpoint = \"https://vault.example\"\n"), &[]);
    says(&vault, &["azure.vault_endpoint", "loopback"]);
}

#[test]
fn credentials_say_what_they_lack() {
    let text = format!("{SCOPE}[azure]\ncredential = \"client_secret\"\nclient_id = \"c\"\n");
    says(&wrong(&text, &[]), &["azure.credential", "client_secret", "azure.tenant_id"]);
    let env = [("KEYMEND_CLIENT_SECRET", "topsecret"), ("KEYMEND_TENANT_ID", "t")];
    let settings = good(&text, &env);
    assert!(matches!(settings.azure.credential, CredentialConfig::ClientSecret { .. }));
    assert!(!format!("{settings:?}").contains("topsecret"));
    let chosen = good(&format!("{SCOPE}[azure]\nclient_id = \"c\"\n"), &[]);
    assert_eq!(chosen.azure.credential, CredentialConfig::ManagedIdentity { client_id: Some("c".to_owned()) });
}

#[test]
fn under_the_host_the_identity_of_its_storage_is_ours_unless_another_is_named() {
    let store = "[store]\nlocation = \"sqlite:k.db\"\n";
    let identity = |text: &str, env: &[(&str, &str)]| match good(&format!("{SCOPE}{store}{text}"), env).azure.credential
    {
        CredentialConfig::ManagedIdentity { client_id } => client_id.unwrap_or_default(),
        other => panic!("{other:?}"),
    };
    let hosted = ("FUNCTIONS_CUSTOMHANDLER_PORT", "4711");
    let (storage, any) = (("AzureWebJobsStorage__clientId", "storage"), ("AZURE_CLIENT_ID", "any"));
    assert_eq!(identity("", &[hosted]), "");
    assert_eq!(identity("", &[hosted, any]), "any");
    assert_eq!(identity("", &[hosted, storage, any]), "storage");
    assert_eq!(identity("[azure]\nclient_id = \"file\"\n", &[hosted, storage, any]), "file");
    assert_eq!(identity("", &[hosted, storage, any, ("KEYMEND_CLIENT_ID", "ours")]), "ours");
    assert_eq!(identity("", &[storage, any]), "any", "by itself there is no host's storage");
    assert_eq!(identity("", &[hosted, storage, any, ("KEYMEND_CLIENT_ID", "system")]), "", "the system-assigned one");
}

#[test]
fn under_the_host_its_own_storage_is_the_store_unless_another_is_named() {
    let hosted = ("FUNCTIONS_CUSTOMHANDLER_PORT", "4711");
    let storage = ("AzureWebJobsStorage", "UseDevelopmentStorage=true");
    let store = |text: &str, env: &[(&str, &str)]| good(&format!("{SCOPE}{text}"), env).store;
    assert!(matches!(store("", &[hosted, storage]), StoreLocation::Azure(_)));
    assert!(matches!(store("", &[storage]), StoreLocation::Sqlite(_)), "by itself it keeps a file");
    let file = "[store]\nlocation = \"sqlite:k.db\"\n";
    assert!(matches!(store(file, &[hosted, storage]), StoreLocation::Sqlite(_)));
    assert!(matches!(store("", &[hosted, storage, ("KEYMEND_STORE", "sqlite:k.db")]), StoreLocation::Sqlite(_)));
    says(&wrong(SCOPE, &[hosted]), &["AzureWebJobsStorage"]);
}

#[test]
fn who_may_see_the_pages_is_never_everybody_unasked() {
    let pages = |text: &str, env: &[(&str, &str)]| good(&format!("{SCOPE}[pages]\n{text}"), env);
    let checked = ("WEBSITE_AUTH_ENABLED", "True");
    let usual = pages("", &[]).pages;
    assert_eq!((usual.access, usual.access_at(None), usual.url), (None, None, None));
    let faults = |text: &str, env: &[(&str, &str)]| -> Vec<String> {
        pages(text, env).faults.iter().map(|fault| fault.setting.clone()).collect()
    };
    let sign_in = "access = \"sign-in\"\n";
    assert_eq!(faults(sign_in, &[]), ["pages.access", "pages.readers"]);
    assert_eq!(faults(&format!("{sign_in}readers = []\napprovers = []"), &[checked]), ["pages.readers"]);
    assert!(faults(&format!("{sign_in}approvers = [\"g\"]"), &[checked]).is_empty(), "approvers read");
    assert!(faults(&format!("{sign_in}readers = [\"anyone-signed-in\"]\neasy_auth = \"on\""), &[]).is_empty());
    says(&wrong(&format!("{SCOPE}[pages]\napprovers = [\"anyone-signed-in\"]"), &[]), &["pages.approvers"]);
    says(&wrong(&format!("{SCOPE}[pages]\naccess = \"signin\""), &[]), &["pages.access", "did you mean \"sign-in\"?"]);

    let hosted = pages("", &[("WEBSITE_HOSTNAME", "app.azurewebsites.net")]).pages.url.unwrap();
    assert_eq!(hosted.as_str(), "https://app.azurewebsites.net/");
    let named = pages("url = \"https://keymend.contoso.example\"", &[("WEBSITE_HOSTNAME", "app.azurewebsites.net")]);
    assert_eq!(named.pages.url.unwrap().host_str(), Some("keymend.contoso.example"));
    for bad in ["http://keymend.contoso.example", "keymend.contoso.example", "https://x.example/path"] {
        says(&wrong(&format!("{SCOPE}[pages]\nurl = \"{bad}\""), &[]), &["pages.url"]);
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let text = format!("{SCOPE}[teams]\nurl = \"https://flow.example/?sig=topsecret\"\n");
    let env = [
        ("KEYMEND_WEBHOOK_SECRET", "topsecret"),
        ("KEYMEND_EVENTS_URL", "https://h.example/topsecret"),
        ("KEYMEND_EVENTS_SECRET", "topsecret"),
    ];
    let settings = good(&text, &env);
    let shown = format!("{settings:?} {settings:#?}");
    assert!(!shown.contains("topsecret"), "{shown}");
}

#[test]
fn the_store_is_found_though_the_rest_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("k.toml");
    std::fs::write(&file, "[store]\nlocation = \"sqlite:/x/k.db\"\n[policy]\npreset = 7\n").unwrap();
    let location = Settings::store_location(Some(&file), &|_| None).unwrap();
    assert_eq!(location.to_string(), "sqlite:/x/k.db");
}

proptest! {
    #[test]
    fn no_text_makes_reading_fail_badly(text in "\\PC{0,200}") {
        let _ = load(&text, &[]);
    }

    #[test]
    fn no_value_makes_reading_fail_badly(
        section in prop::sample::select(vec!["scope", "policy", "remedies", "gates", "azure", "simulated", "server", "store", "teams", "webhook", "pages"]),
        key in prop::sample::select(vec![
            "subscriptions", "resources", "except", "preset", "window_minutes", "dry_run", "recover_vault", "hold_tag", "custodians",
            "max_servers", "cloud", "arm_endpoint", "static_token", "credential", "follow_clock", "listen", "max_body_bytes",
            "webhook_secret_env", "webhook_secret_file", "location", "url", "url_env", "url_file", "secret_env", "allow_private",
            "access", "readers", "approvers", "easy_auth",
        ]),
        value in prop::sample::select(vec![
            "1", "-1", "99999999999999999", "1.5", "true", "\"\"", "\" \"", "\"x\"", "\"é\\u202e\"", "[]", "[1]", "[\"\", [\"a\"]]",
            "{}", "{ a = { b = 1 } }", "1979-05-27T07:32:00Z", "\"@Microsoft.KeyVault(x)\"", "\"/\"", "\"http://[::1\"", "inf",
        ]),
    ) {
        if let Err(problems) = load(&format!("[{section}]\n{key} = {value}\n"), &[]) {
            prop_assert!(!problems.list.is_empty());
            let words = problems.to_string();
            prop_assert!(problems.list.iter().all(|problem| !problem.instead.is_empty()), "{}", words);
        }
    }
}

/// All channels by variables alone, as in a Functions app.
const TOLD: [(&str, &str); 12] = [
    ("KEYMEND_SLACK_URL", "https://hooks.slack.com/services/T/B/topsecret"),
    ("KEYMEND_SERVICENOW_URL", "https://contoso.service-now.com"),
    ("KEYMEND_SERVICENOW_AUTH", "basic"),
    ("KEYMEND_SERVICENOW_USER", "keymend"),
    ("KEYMEND_SERVICENOW_SECRET", "topsecret"),
    ("KEYMEND_PAGERDUTY_KEY", "topsecrettopsecrettopsecrettopse"),
    ("KEYMEND_JSM_KEY", "topsecret"),
    ("KEYMEND_JIRA_URL", "https://contoso.atlassian.net"),
    ("KEYMEND_JIRA_USER", "keymend@contoso.example"),
    ("KEYMEND_JIRA_PROJECT", "OPS"),
    ("KEYMEND_JIRA_TOKEN", "topsecret"),
    ("KEYMEND_HEARTBEAT_DAYS", "0"),
];

#[test]
fn channels_can_be_set_up_by_variables_alone_and_their_secrets_are_not_shown() {
    let settings = good(SCOPE, &TOLD);
    let all = &settings.channels;
    assert!(all.slack.is_some() && all.servicenow.is_some() && all.pagerduty.is_some());
    assert!(all.jsm.is_some() && all.jira.is_some() && !all.is_empty());
    assert_eq!(all.notify.heartbeat, None);
    let shown = format!("{settings:?}");
    assert!(!shown.contains("topsecret"), "{shown}");
}

#[test]
fn a_channel_that_is_half_set_up_says_what_it_needs() {
    for missing in ["KEYMEND_SERVICENOW_SECRET", "KEYMEND_SERVICENOW_USER", "KEYMEND_JIRA_TOKEN", "KEYMEND_JIRA_USER"] {
        let env: Vec<_> = TOLD.iter().copied().filter(|(name, _)| *name != missing).collect();
        let words = wrong(SCOPE, &env);
        let section = if missing.contains("JIRA") { "jira." } else { "servicenow." };
        says(&words, &[section, "cannot be used without it"]);
        assert!(!words.contains("topsecret"), "{words}");
    }
    let both = format!("{SCOPE}[slack]\nurl = \"https://hooks.slack.com/services/a\"\n");
    says(&wrong(&both, &TOLD), &["slack.url", "more than once"]);
}

#[test]
fn who_is_told_of_nothing_is_an_error_and_slips_are_recognised() {
    let with = |text: &str| format!("{SCOPE}[slack]\nurl = \"https://hooks.slack.com/services/a\"\n{text}\n");
    says(&wrong(&with("tell = []"), &[]), &["slack.tell", "told of nothing"]);
    says(&wrong(&with("tell = [\"resolvd\"]"), &[]), &["slack.tell", "did you mean \"resolved\"?"]);
    says(&wrong(&with("tell = [\"resolved\"]\nat_least = \"critical\""), &[]), &["slack.at_least", "no situation"]);
    let settings = good(&with("tell = [\"needs_person\", \"first_notice\"]\nat_least = \"critical\""), &[]);
    let told = settings.channels.slack.unwrap().tell;
    assert!(told.contains(&Situation::Escalated) && !told.contains(&Situation::FirstNotice), "{told:?}");
    let words = wrong(&format!("{SCOPE}[pagerduty]\npage_on = []\n"), &TOLD);
    says(&words, &["pagerduty.page_on", "told of nothing"]);
}
