-- A store as the first version of its tables held it: an incident, what it took, and a signal that nobody has taken yet.
PRAGMA application_id = 0x4B4D4E44;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE fact (
        kind    TEXT NOT NULL,
        key     TEXT NOT NULL,
        kept_at INTEGER NOT NULL,
        value   TEXT NOT NULL,
        PRIMARY KEY (kind, key)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "fact" VALUES('clock','serve',1795990194025810,'{"machine":"2026-11-29T22:09:54.025809059Z","shown":"2026-11-29T22:09:54.025810782Z","speed":null}');
INSERT INTO "fact" VALUES('link_secret','e066b5b5205a4c45a86fea891af8dac6',1795990193638727,'"b411d72eb3714bd0be0d7c1ff7b63bacefc0561aea9c4251981bdf5167c78c9c"');
INSERT INTO "fact" VALUES('own_keys_asked','/subscriptions/s/resourcegroups/rg/providers/microsoft.sql/servers/contoso-sql',1795990193762981,'null');
INSERT INTO "fact" VALUES('protector','/subscriptions/s/resourcegroups/rg/providers/microsoft.sql/servers/contoso-sql',1795990193760898,'{"customer_managed":true,"uri":"https://contoso-kv.vault.azure.net/keys/tde-key/1ac7c5e9b2475ecebdb36c61b0f53ade","thumbprint":"1AC7C5E9B2475ECEBDB36C61B0F53ADE12D6E302","auto_rotation":false,"key_version":null}');
INSERT INTO "fact" VALUES('server_key','/subscriptions/s/resourcegroups/rg/providers/microsoft.sql/servers/contoso-sql',1795990193759379,'{"server":"/subscriptions/s/resourcegroups/rg/providers/microsoft.sql/servers/contoso-sql","key":"https://contoso-kv.vault.azure.net/keys/tde-key/1ac7c5e9b2475ecebdb36c61b0f53ade","vault_id":null,"identities":[]}');
INSERT INTO "fact" VALUES('upkeep','tidied',1795990193739636,'{}');
CREATE TABLE incident (
        id        TEXT PRIMARY KEY,
        key       TEXT NOT NULL,
        version   INTEGER NOT NULL,
        opened_at INTEGER NOT NULL,
        ended_at  INTEGER,
        document  TEXT NOT NULL
    ) STRICT;
INSERT INTO "incident" VALUES('km-20261129-2209-wx65','vault:contoso-kv.vault.azure.net',1,1795990193770700,NULL,'{"id":"km-20261129-2209-wx65","key":"vault:contoso-kv.vault.azure.net","opened_at":"2026-11-29T22:09:53.770700426Z","ended_at":null,"phase":"opened","vault":"contoso-kv.vault.azure.net","vault_id":null,"members":{"/subscriptions/s/resourcegroups/rg/providers/microsoft.sql/servers/contoso-sql":{"server":"/subscriptions/s/resourcegroups/rg/providers/microsoft.sql/servers/contoso-sql","protector":"https://contoso-kv.vault.azure.net/keys/tde-key/1ac7c5e9b2475ecebdb36c61b0f53ade","databases":["orders"],"inaccessible":[],"was_down":false,"observed_at":null,"settings":{},"before":{},"past_window":[],"lost_settings":[]}},"told_at":"2026-03-14T02:11:09Z","lost_at":null,"window_minutes":30,"window_said_over":false,"loss_reported":true,"whole_since":null,"lost_again_at":null,"was_broken":false,"diagnosis":null,"broken":null,"root_cause":null,"gates":[],"approval":null,"attempts":[],"needs_person":null,"set_aside":[],"look_by":null,"passes":0,"quiet_passes":0,"signals":1,"notices":[],"timeline":[{"at":"2026-11-29T22:09:53.770700426Z","kind":"noticed","text":"contoso-sql depends on that key"},{"at":"2026-11-29T22:09:53.770700426Z","kind":"noticed","text":"Azure about orders: access to the key is lost"}],"end":null,"restoration":null}');
CREATE TABLE job (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        key       TEXT NOT NULL UNIQUE,
        work      TEXT NOT NULL,
        ready_at  INTEGER NOT NULL,
        again_at  INTEGER,
        held      INTEGER NOT NULL DEFAULT 0,
        lease     INTEGER NOT NULL DEFAULT 0,
        attempts  INTEGER NOT NULL DEFAULT 0,
        error     TEXT,
        set_aside TEXT CHECK (set_aside IN ('poison', 'unreadable'))
    ) STRICT;
INSERT INTO "job" VALUES(2,'pass:km-20261129-2209-wx65','{"job":"pass","incident":"km-20261129-2209-wx65"}',1795990208770700,NULL,0,0,0,NULL,NULL);
INSERT INTO "job" VALUES(3,'locate:/subscriptions/s/resourcegroups/rg/providers/microsoft.sql/servers/sql','{"job":"locate","target":"/subscriptions/s/resourcegroups/rg/providers/microsoft.sql/servers/sql"}',1795990314139234,NULL,1,1,1,NULL,NULL);
CREATE TABLE signal (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        subject     TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        received_at INTEGER NOT NULL,
        taken_at    INTEGER,
        incident_id TEXT REFERENCES incident (id),
        document    TEXT NOT NULL
    ) STRICT;
INSERT INTO "signal" VALUES(1,'/subscriptions/s/resourcegroups/rg/providers/microsoft.sql/servers/contoso-sql','f928eaa9b4c947824f911ac8e08580211069169851211933c0fbca6082ab783c',1795990193740492,1795990193770700,'km-20261129-2209-wx65','{"kind":"access_lost","target":"/subscriptions/s/resourcegroups/rg/providers/microsoft.sql/servers/contoso-sql/databases/orders","occurred_at":"2026-03-14T02:11:09Z","caller":null,"event_id":"0b79bcfe-ce9c-47d1-bc93-6eee7176fd03","correlation_id":"0b79bcfe-ce9c-47d1-bc93-6eee7176fd03","window_minutes":null,"text":null}');
INSERT INTO "signal" VALUES(2,'/subscriptions/s/resourcegroups/rg/providers/microsoft.sql/servers/sql','8e359f6821116807d8e10f4e023ab9916a121c7f7447f1fd93d450ccf9fa6fa5',1795990194135910,NULL,NULL,'{"kind":"access_lost","target":"/subscriptions/s/resourcegroups/rg/providers/microsoft.sql/servers/sql/databases/orders","occurred_at":"2026-03-14T02:11:09Z","caller":null,"event_id":"e1e1e1e1-0000-4000-8000-000000000001","correlation_id":"e1e1e1e1-0000-4000-8000-000000000001","window_minutes":null,"text":null}');
CREATE UNIQUE INDEX incident_open_key ON incident (key) WHERE ended_at IS NULL;
CREATE INDEX incident_newest ON incident (opened_at, id);
CREATE INDEX incident_open_newest ON incident (opened_at, id) WHERE ended_at IS NULL;
CREATE INDEX signal_known ON signal (fingerprint, received_at);
CREATE INDEX signal_untaken ON signal (subject, id) WHERE taken_at IS NULL;
CREATE INDEX signal_taken ON signal (taken_at) WHERE taken_at IS NOT NULL;
CREATE INDEX job_ready ON job (ready_at, id) WHERE set_aside IS NULL;
CREATE INDEX fact_kept ON fact (kept_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('signal',2);
INSERT INTO "sqlite_sequence" VALUES('job',3);
COMMIT;
