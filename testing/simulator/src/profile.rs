//! Configuration of a simulated site: credentials, projects, groups, limits and behavior.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

/// The three ticket systems that can be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// Jira Cloud, REST API v3.
    JiraCloud,
    /// Jira Data Center, REST API v2.
    JiraDataCenter,
    /// ServiceNow, Table API.
    ServiceNow,
}

/// Credentials that the site accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// HTTP Basic: email and API token on Jira Cloud, username and password elsewhere.
    Basic {
        /// The email or username.
        user: String,
        /// The API token or password.
        secret: String,
    },
    /// `Authorization: Bearer`, a personal access token of Jira Data Center.
    Bearer {
        /// The personal access token.
        token: String,
    },
    /// A scoped API token of Jira Cloud: Basic, but accepted through the gateway only.
    Scoped {
        /// The email.
        user: String,
        /// The scoped API token.
        token: String,
    },
}

/// An identifier with a name: an issue type, a priority, an assignment group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The identifier: digits on Jira, 32 hexadecimal digits on ServiceNow.
    pub id: String,
    /// The display name.
    pub name: String,
}

impl Named {
    /// Creates an identifier with a name.
    pub fn new(id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into() }
    }
}

/// A Jira project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its numeric identifier.
    pub id: String,
    /// Its key, case-sensitive.
    pub key: String,
    /// Its name.
    pub name: String,
    /// The issue types that can be created in it.
    pub issue_types: Vec<Named>,
    /// Its priority scheme.
    pub priorities: Vec<Named>,
    /// The field ids on its create screen.
    pub screen: BTreeSet<String>,
    /// The IDs of required fields, besides project, issue type and summary.
    pub required: BTreeSet<String>,
    /// Further fields on its create screen.
    pub fields: Vec<ScreenField>,
}

/// A field on the create screen of a Jira project, of any type.
#[derive(Debug, Clone, PartialEq)]
pub struct ScreenField {
    /// Its ID, such as `customfield_10010` or `components`.
    pub id: String,
    /// Its name, which need not be unique.
    pub name: String,
    /// Its type, as in create metadata.
    pub schema: Value,
    /// Whether every issue must have it.
    pub required: bool,
    /// Whether Jira fills it in.
    pub has_default: bool,
    /// Whether it can be set; otherwise it is only shown.
    pub is_settable: bool,
    /// The values that it takes, as in create metadata; `None` if Jira does not list them.
    pub allowed: Option<Vec<Value>>,
}

/// A column of a ServiceNow table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The table that declares it: `task` for an inherited one.
    pub table: String,
    /// Its name, such as `caller_id`.
    pub name: String,
    /// Its label.
    pub label: String,
    /// Its internal type, such as `reference`.
    pub kind: String,
    /// The table of a reference; empty for other types.
    pub reference: String,
    /// Maximum length of a text; a longer one is cut.
    pub max_length: usize,
    /// Whether a form shows its choices only.
    pub is_choice: bool,
    /// Value and label of its choices.
    pub choices: Vec<(String, String)>,
}

impl Column {
    /// A column of a type without a reference or choices.
    pub fn new(table: &str, name: &str, label: &str, kind: &str) -> Self {
        Self {
            table: table.to_owned(),
            name: name.to_owned(),
            label: label.to_owned(),
            kind: kind.to_owned(),
            reference: String::new(),
            max_length: 4_000,
            is_choice: false,
            choices: Vec::new(),
        }
    }

    /// Makes it a reference to `table`.
    #[must_use]
    pub fn referring_to(mut self, table: &str) -> Self {
        table.clone_into(&mut self.reference);
        self
    }

    /// Offers choices, by value and label.
    #[must_use]
    pub fn with_choices(mut self, choices: &[(&str, &str)]) -> Self {
        self.is_choice = true;
        self.choices =
            choices.iter().map(|(value, label)| ((*value).to_owned(), (*label).to_owned())).collect();
        self
    }

    /// The columns of a usual incident table.
    pub fn usual() -> Vec<Self> {
        let category = [("software", "Software"), ("network", "Network"), ("security", "Security incident")];
        vec![
            Self::new("task", "short_description", "Short description", "string"),
            Self::new("task", "assigned_to", "Assigned to", "reference").referring_to("sys_user"),
            Self::new("task", "cmdb_ci", "Configuration item", "reference").referring_to("cmdb_ci"),
            Self::new("task", "due_date", "Due date", "glide_date_time"),
            Self::new("task", "contact_type", "Contact type", "string").with_choices(&[("phone", "Phone")]),
            // A child's row replaces the parent's.
            Self::new("incident", "contact_type", "Channel", "string")
                .with_choices(&[("siem", "SIEM"), ("phone", "Phone")]),
            Self::new("incident", "caller_id", "Caller", "reference").referring_to("sys_user"),
            Self::new("incident", "category", "Category", "string").with_choices(&category),
            Self::new("incident", "u_confirmed", "Confirmed", "boolean"),
            Self::new("incident", "u_risk_score", "Risk score", "integer"),
            Self::new("incident", "u_source", "Source", "string"),
            Self::new("incident", "u_watchers", "Watchers", "glide_list").referring_to("sys_user"),
        ]
    }
}

/// A person who has an account on the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The account ID on Jira Cloud, the username on Jira Data Center, the `sys_id` on ServiceNow.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The email.
    pub email: String,
    /// Whether issues can be assigned to them.
    pub is_assignable: bool,
}

impl ScreenField {
    /// A field with the type `schema`.
    pub fn new(id: &str, name: &str, schema: Value) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            schema,
            required: false,
            has_default: false,
            is_settable: true,
            allowed: None,
        }
    }

    /// A custom field of a type of Jira itself, such as `textfield` or `select`.
    pub fn custom(number: u32, name: &str, kind: &str, items: Option<&str>, custom: &str) -> Self {
        let custom = format!("com.atlassian.jira.plugin.system.customfieldtypes:{custom}");
        let mut schema = json!({ "type": kind, "custom": custom, "customId": number });
        if let Some(items) = items {
            schema["items"] = items.into();
        }
        Self::new(&format!("customfield_{number}"), name, schema)
    }

    /// Offers options, by ID and value.
    #[must_use]
    pub fn with_options(mut self, options: &[(&str, &str)]) -> Self {
        let option = |(id, value): &(&str, &str)| json!({ "id": id, "value": value });
        self.allowed = Some(options.iter().map(option).collect());
        self
    }

    /// Offers choices, by ID and name.
    #[must_use]
    pub fn with_names(mut self, names: &[(&str, &str)]) -> Self {
        let choice = |(id, name): &(&str, &str)| json!({ "id": id, "name": name });
        self.allowed = Some(names.iter().map(choice).collect());
        self
    }

    /// Requires it of every issue.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// One field of every type.
    pub fn of_every_type() -> Vec<Self> {
        let system = |id: &str, name: &str, schema: Value| Self::new(id, name, schema);
        let colors = [("10231", "red"), ("10232", "blue")];
        let mut place = Self::custom(10_110, "Place", "option-with-child", None, "cascadingselect");
        place.allowed = Some(vec![
            json!({ "id": "1", "value": "Europe", "children": [{ "id": "11", "value": "Paris" }] }),
            json!({ "id": "2", "value": "Asia", "children": [] }),
        ]);
        let sprint =
            json!({ "type": "array", "items": "json", "custom": "com.pyxis.greenhopper.jira:gh-sprint" });
        let epic = json!({ "type": "any", "custom": "com.pyxis.greenhopper.jira:gh-epic-link" });
        let team = json!({ "type": "team", "custom": "com.atlassian.jira.plugin.system.customfieldtypes:atlassian-team" });
        vec![
            Self::custom(10_101, "Source", "string", None, "textfield"),
            Self::custom(10_102, "Impact", "string", None, "textarea"),
            Self::custom(10_103, "Link", "string", None, "url"),
            Self::custom(10_104, "Score", "number", None, "float"),
            Self::custom(10_105, "Seen on", "date", None, "datepicker"),
            Self::custom(10_106, "Seen at", "datetime", None, "datetime"),
            Self::custom(10_107, "Color", "option", None, "select").with_options(&colors),
            Self::custom(10_108, "Colors", "array", Some("option"), "multiselect").with_options(&colors),
            place,
            Self::custom(10_111, "Analyst", "user", None, "userpicker"),
            Self::custom(10_112, "Team group", "group", None, "grouppicker"),
            Self::custom(10_113, "Tags", "array", Some("string"), "labels"),
            system(
                "components",
                "Components",
                json!({ "type": "array", "items": "component", "system": "components" }),
            )
            .with_names(&[("10000", "Network"), ("10001", "Endpoint")]),
            system(
                "fixVersions",
                "Fix versions",
                json!({ "type": "array", "items": "version", "system": "fixVersions" }),
            )
            .with_names(&[("10100", "2026.1")]),
            system("security", "Security Level", json!({ "type": "securitylevel", "system": "security" }))
                .with_names(&[("10200", "Confidential")]),
            system("assignee", "Assignee", json!({ "type": "user", "system": "assignee" })),
            system("duedate", "Due date", json!({ "type": "date", "system": "duedate" })),
            system("environment", "Environment", json!({ "type": "string", "system": "environment" })),
            system("parent", "Parent", json!({ "type": "issuelink", "system": "parent" })),
            system("customfield_10114", "Sprint", sprint),
            system("customfield_10115", "Epic Link", epic),
            system("customfield_10116", "Team", team),
            system("customfield_10117", "Asset", json!({ "type": "any", "custom": "com.example:asset" })),
        ]
    }
}

impl Project {
    /// A project with the usual issue types, priorities and create screen.
    pub fn new(id: impl Into<String>, key: impl Into<String>) -> Self {
        let key = key.into();
        let fields = ["project", "issuetype", "summary", "description", "priority", "labels", "reporter"];
        Self {
            id: id.into(),
            name: format!("{key} project"),
            key,
            issue_types: named(&[
                ("10001", "Task"),
                ("10002", "Bug"),
                ("10003", "Story"),
                ("10004", "Incident"),
            ]),
            priorities: named(&SITE_PRIORITIES),
            screen: fields.into_iter().map(str::to_owned).collect(),
            required: BTreeSet::new(),
            fields: Vec::new(),
        }
    }

    /// Puts a further field on the create screen.
    #[must_use]
    pub fn with_field(mut self, field: ScreenField) -> Self {
        self.fields.push(field);
        self
    }
}

/// Configuration of a simulated site. Every field can be set before the start or, with
/// [`Simulator::edit`](crate::Simulator::edit), at runtime.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The accepted credentials.
    pub credentials: Vec<Credential>,
    /// Jira: the projects.
    pub projects: Vec<Project>,
    /// The people of the site.
    pub people: Vec<Person>,
    /// Jira: searches of people show no emails.
    pub hides_emails: bool,
    /// ServiceNow: the columns of the incident table and of the one that it extends.
    pub columns: Vec<Column>,
    /// ServiceNow: records of further tables, by table; names need not be unique.
    pub records: BTreeMap<String, Vec<Named>>,
    /// ServiceNow: the dictionary and the choices read as empty with status 200, as with a missing read ACL; with
    /// `read_dictionary` withdrawn they are refused.
    pub hides_dictionary: bool,
    /// ServiceNow: the assignment groups; names need not be unique.
    pub groups: Vec<Named>,
    /// Permissions that the account lacks: `BROWSE_PROJECTS`, `CREATE_ISSUES`, `EDIT_ISSUES`, `USER_PICKER` on Jira; `read`,
    /// `create`, `write` (the incident table), `read_groups` and `read_dictionary` on ServiceNow.
    pub withdrawn: BTreeSet<String>,
    /// Jira Data Center: the context path before `/rest`, such as `/jira`; empty for none.
    pub context_path: String,
    /// Jira Data Center: the base URL that its administrator has configured; `None` for the URL of the
    /// request.
    pub base_url: Option<String>,
    /// Jira Cloud: untranslated names of issue types, by ID.
    pub untranslated: BTreeMap<String, String>,
    /// Jira Cloud: the cloud ID in the gateway path `/ex/jira/{cloudId}`.
    pub cloud_id: String,
    /// The account cannot see the tickets it creates, by search or by ID, as with a security level or a read
    /// ACL. Applies to existing tickets too, but not to those of other users.
    pub hides_created: bool,
    /// Jira: labels of a create are silently dropped.
    pub drops_labels: bool,
    /// Jira: time from the creation of a ticket until searches show it (index lag).
    pub index_lag: Duration,
    /// Jira: an unauthenticated search is answered with 200 and no issues (true) or with 401 (false).
    pub anonymous_search_is_empty: bool,
    /// Jira Data Center: number of consecutive wrong passwords after which every Basic login requires a
    /// CAPTCHA; `None` for never.
    pub captcha_after: Option<u32>,
    /// ServiceNow: number of consecutive wrong passwords after which the account is locked and every login
    /// refused; `None` for never.
    pub locks_after: Option<u32>,
    /// Jira: maximum length of a text. Cloud has a fixed 32,767 characters; an administrator of Data Center
    /// can change it.
    pub text_limit: usize,
    /// ServiceNow: a `sys_id` in a POST is ignored, and the instance assigns its own.
    pub ignores_sys_id: bool,
    /// ServiceNow: a `correlation_id` in a POST or PATCH is ignored, as with a write ACL.
    pub ignores_correlation_id: bool,
    /// ServiceNow: an invalid condition of a query is ignored, which returns more rows (true, the vendor's
    /// default), or makes the query return none (false).
    pub invalid_query_returns_all: bool,
    /// ServiceNow: the `sys_id` of the group that a business rule assigns if none was given.
    pub default_group: Option<String>,
    /// ServiceNow: the `sys_id` of the group that a business rule assigns to every new ticket, whatever was
    /// sent.
    pub assigns_group: Option<String>,
    /// ServiceNow: the status of the reply to an insert with an existing `sys_id`.
    pub duplicate_status: u16,
    /// ServiceNow: fields that a data policy makes mandatory.
    pub mandatory: BTreeSet<String>,
    /// ServiceNow: a short description of more than 160 characters is rejected (true) or truncated (false).
    pub refuses_long_short_description: bool,
    /// ServiceNow: work notes are silently dropped, as with a write ACL.
    pub drops_work_notes: bool,
    /// ServiceNow: number of characters of a description that the database stores; `None` for all.
    pub description_limit: Option<usize>,
    /// ServiceNow: journals read as empty with status 200, as with a missing read ACL.
    pub hides_journals: bool,
}

impl Profile {
    /// An [`index_lag`](Self::index_lag) with which searches never show a ticket.
    pub const NEVER: Duration = Duration::MAX;

    /// The defaults of a vendor, as described in the crate documentation.
    pub fn of(vendor: Vendor) -> Self {
        Self {
            credentials: default_credentials(vendor),
            projects: vec![Project::new("10100", "SEC")],
            people: default_people(vendor),
            hides_emails: false,
            columns: Column::usual(),
            records: BTreeMap::from([(
                "cmdb_ci".to_owned(),
                named(&[("109562a3c611227500a7b7ff98cc0dc7", "mail-01")]),
            )]),
            hides_dictionary: false,
            groups: named(&[
                ("287ebd7da9fe198100f92cc8d1d2154e", "Network"),
                ("d625dccec0a8016700a222a0f7900d06", "Security Operations"),
            ]),
            withdrawn: BTreeSet::new(),
            context_path: String::new(),
            base_url: None,
            untranslated: BTreeMap::new(),
            cloud_id: "11223344-a1b2-3b33-c444-def123456789".to_owned(),
            hides_created: false,
            drops_labels: false,
            index_lag: Duration::ZERO,
            anonymous_search_is_empty: true,
            captcha_after: (vendor == Vendor::JiraDataCenter).then_some(3),
            locks_after: (vendor == Vendor::ServiceNow).then_some(5),
            text_limit: 32_767,
            ignores_sys_id: false,
            ignores_correlation_id: false,
            invalid_query_returns_all: true,
            default_group: None,
            assigns_group: None,
            duplicate_status: 403,
            mandatory: BTreeSet::new(),
            refuses_long_short_description: false,
            drops_work_notes: false,
            description_limit: None,
            hides_journals: false,
        }
    }

    /// Replaces the accepted credentials.
    #[must_use]
    pub fn only_credential(mut self, credential: Credential) -> Self {
        self.credentials = vec![credential];
        self
    }

    /// Adds accepted credentials.
    #[must_use]
    pub fn with_credential(mut self, credential: Credential) -> Self {
        self.credentials.push(credential);
        self
    }

    /// Adds a project, or replaces the one with the same key.
    #[must_use]
    pub fn with_project(mut self, project: Project) -> Self {
        self.projects.retain(|known| known.key != project.key);
        self.projects.push(project);
        self
    }

    /// Removes a field from the create screen of every project.
    #[must_use]
    pub fn without_field(mut self, field: &str) -> Self {
        for project in &mut self.projects {
            project.screen.remove(field);
        }
        self
    }

    /// Removes a priority from the scheme of every project; the site keeps it.
    #[must_use]
    pub fn without_priority(mut self, name: &str) -> Self {
        for project in &mut self.projects {
            project.priorities.retain(|priority| priority.name != name);
        }
        self
    }

    /// Adds an assignment group; the name need not be unique.
    #[must_use]
    pub fn with_group(mut self, sys_id: &str, name: &str) -> Self {
        self.groups.push(Named::new(sys_id, name));
        self
    }

    /// Sets the context path before `/rest` on Jira Data Center.
    #[must_use]
    pub fn with_context_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.context_path);
        self
    }

    /// Sets the index lag of Jira: the time from the creation of a ticket until searches show it.
    #[must_use]
    pub fn with_index_lag(mut self, lag: Duration) -> Self {
        self.index_lag = lag;
        self
    }

    /// Withdraws a permission from every account; see [`Profile::withdrawn`] for the names.
    pub fn withdraw(&mut self, permission: &str) {
        self.withdrawn.insert(permission.to_owned());
    }

    /// Restores a withdrawn permission.
    pub fn restore(&mut self, permission: &str) {
        self.withdrawn.remove(permission);
    }

    pub(crate) fn allows(&self, permission: &str) -> bool {
        !self.withdrawn.contains(permission)
    }

    pub(crate) fn project(&self, id_or_key: &str) -> Option<&Project> {
        self.projects.iter().find(|project| project.key == id_or_key || project.id == id_or_key)
    }
}

/// The priorities of a Jira site, independent of the schemes of projects.
pub(crate) const SITE_PRIORITIES: [(&str, &str); 5] =
    [("1", "Highest"), ("2", "High"), ("3", "Medium"), ("4", "Low"), ("5", "Lowest")];

pub(crate) fn named(pairs: &[(&str, &str)]) -> Vec<Named> {
    pairs.iter().map(|(id, name)| Named::new(*id, *name)).collect()
}

fn default_people(vendor: Vendor) -> Vec<Person> {
    let id = |number: u32, username: &str| match vendor {
        Vendor::JiraCloud => format!("712020:000{number}"),
        Vendor::JiraDataCenter => username.to_owned(),
        Vendor::ServiceNow => format!("{number:032x}"),
    };
    let person = |number: u32, username: &str, name: &str| Person {
        id: id(number, username),
        name: name.to_owned(),
        email: format!("{username}@example.com"),
        is_assignable: true,
    };
    vec![person(1, "ada", "Ada Lovelace"), person(2, "grace", "Grace Hopper")]
}

fn default_credentials(vendor: Vendor) -> Vec<Credential> {
    let basic = |user: &str, secret: &str| Credential::Basic { user: user.into(), secret: secret.into() };
    match vendor {
        Vendor::JiraCloud => vec![
            basic("analyst@example.com", "cloud-api-token"),
            Credential::Scoped { user: "analyst@example.com".into(), token: "cloud-scoped-token".into() },
        ],
        Vendor::JiraDataCenter => vec![
            Credential::Bearer { token: "data-center-pat".into() },
            basic("analyst", "data-center-password"),
        ],
        Vendor::ServiceNow => vec![basic("rhythmx.integration", "servicenow-password")],
    }
}
