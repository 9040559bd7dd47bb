//! Allowed dependencies between packages. They go one way: `retry` <- `core` <- `host` <- `secrets` <- `store` <-
//! `engine` <- `server`; `core` <- `egress` <- `vendor` <- `jira`, `servicenow` <- `server`; `vendor` <- `engine`;
//! `host` <- `ingress` <- `server`; `contract` <- `vendor`, `server`, root. The model knows `core` and `retry`; the
//! simulator knows no other package, so that it cannot share an adapter's misunderstanding.

use super::Violation;
use crate::workspace::Package;

/// The allowed dependencies of a package of the workspace.
struct Allowance {
    package: &'static str,
    /// Packages of the workspace.
    ours: &'static [&'static str],
    /// Additional ones for its tests.
    ours_in_tests: &'static [&'static str],
}

const ROOT: &str = "rhythmx-ticketing";
const CONTRACT: &str = "ticketing-contract";
const CORE: &str = "ticketing-core";
const EGRESS: &str = "ticketing-egress";
const ENGINE: &str = "ticketing-engine";
const FAILPOINTS: &str = "ticketing-failpoints";
const HOST: &str = "ticketing-host";
const INGRESS: &str = "ticketing-ingress";
const JIRA: &str = "ticketing-jira";
const RETRY: &str = "ticketing-retry";
const SECRETS: &str = "ticketing-secrets";
const SERVER: &str = "ticketing-server";
const SERVICENOW: &str = "ticketing-servicenow";
const STORE: &str = "ticketing-store";
const VENDOR: &str = "ticketing-vendor";

const BENCH: &str = "ticketing-bench";
const CONFORMANCE: &str = "ticketing-conformance";
const DEMO: &str = "ticketing-demo";
const DISK: &str = "ticketing-disk";
const FAULTS: &str = "ticketing-faults";
const FUZZ: &str = "ticketing-fuzz";
const HARNESS: &str = "ticketing-harness";
const MODEL: &str = "ticketing-model";
const MUTATIONS: &str = "ticketing-mutations";
const SIMULATOR: &str = "ticketing-simulator";
const XTASK: &str = "xtask";

/// A package that no test gives further packages of the workspace.
const fn package(package: &'static str, ours: &'static [&'static str]) -> Allowance {
    Allowance { package, ours, ours_in_tests: &[] }
}

const ALLOWANCES: &[Allowance] = &[
    package(CONTRACT, &[]),
    Allowance { package: ROOT, ours: &[CONTRACT], ours_in_tests: &[SERVER, SIMULATOR] },
    package(RETRY, &[]),
    package(FAILPOINTS, &[]),
    package(CORE, &[RETRY]),
    package(HOST, &[CORE, FAILPOINTS]),
    package(SECRETS, &[CORE, HOST]),
    Allowance { package: STORE, ours: &[CORE, FAILPOINTS, HOST, RETRY, SECRETS], ours_in_tests: &[HARNESS] },
    package(INGRESS, &[CORE, HOST]),
    package(EGRESS, &[CORE, FAILPOINTS, RETRY]),
    package(VENDOR, &[CONTRACT, CORE, EGRESS]),
    Allowance { package: JIRA, ours: &[CONTRACT, CORE, EGRESS, VENDOR], ours_in_tests: &[SIMULATOR] },
    Allowance { package: SERVICENOW, ours: &[CONTRACT, CORE, EGRESS, VENDOR], ours_in_tests: &[SIMULATOR] },
    Allowance {
        package: ENGINE,
        ours: &[CORE, EGRESS, FAILPOINTS, HOST, RETRY, STORE, VENDOR],
        ours_in_tests: &[JIRA, SERVICENOW],
    },
    Allowance {
        package: SERVER,
        ours: &[
            CONTRACT, CORE, EGRESS, ENGINE, FAILPOINTS, HOST, INGRESS, JIRA, RETRY, SECRETS, SERVICENOW,
            STORE, VENDOR,
        ],
        ours_in_tests: &[ROOT, HARNESS, DISK, SIMULATOR],
    },
    package(MODEL, &[CORE, RETRY]),
    package(MUTATIONS, &[]),
    package(BENCH, &[ROOT]),
    package(SIMULATOR, &[]),
    Allowance { package: CONFORMANCE, ours: &[CORE], ours_in_tests: &[EGRESS, JIRA, SERVICENOW, SIMULATOR] },
    package(DISK, &[]),
    package(HARNESS, &[ROOT, CORE, FAILPOINTS, HOST, SERVER, SIMULATOR, STORE]),
    package(DEMO, &[ROOT, HOST, SERVER, SIMULATOR]),
    package(FAULTS, &[ROOT, DISK, FAILPOINTS, HARNESS, MODEL, MUTATIONS, SIMULATOR]),
    package(FUZZ, &[ROOT, CORE, EGRESS, ENGINE, INGRESS, JIRA, RETRY, SERVER, SERVICENOW, VENDOR]),
    package(XTASK, &[SERVER]),
];

/// Packages for databases, networks and templates, and the only packages that may use them outside of tests.
const RESTRICTED: &[(&str, &[&str])] = &[
    ("minijinja", &[CORE]),
    ("sqlx", &[STORE, HARNESS, BENCH]),
    ("rusqlite", &[BENCH]),
    ("hyper", &[EGRESS, INGRESS, SIMULATOR, BENCH]),
    ("hyper-util", &[INGRESS, HARNESS, SIMULATOR, BENCH]),
    ("reqwest", &[EGRESS]),
    ("tonic", &[ROOT, CONTRACT, INGRESS, SERVER, HARNESS, FAULTS, BENCH]),
];

/// Violations of the allowed dependencies.
pub(super) fn violations(packages: &[Package]) -> Vec<Violation> {
    packages.iter().flat_map(|package| violations_of(package, packages)).collect()
}

fn violations_of(package: &Package, packages: &[Package]) -> Vec<Violation> {
    let Some(allowance) = ALLOWANCES.iter().find(|allowance| allowance.package == package.name) else {
        return vec![Violation::new(
            &package.name,
            "is not in the table of allowed dependencies (xtask/src/house/dependencies.rs)",
        )];
    };
    let mut violations = Vec::new();
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let in_tests = dependency.kind.as_deref() == Some("dev");
        let other = packages.iter().find(|other| other.name == name);
        let ours = other.is_some();
        if !in_tests && is_product(package) && other.is_some_and(|other| !is_product(other)) {
            violations.push(Violation::new(
                &package.name,
                format!("ships, and must not depend on {name}, which does not"),
            ));
        }
        let allowed = allowance.ours.contains(&name) || in_tests && allowance.ours_in_tests.contains(&name);
        if ours && !allowed {
            violations.push(Violation::new(&package.name, format!("must not depend on {name}")));
        }
        if !in_tests
            && RESTRICTED
                .iter()
                .any(|(restricted, users)| *restricted == name && !users.contains(&allowance.package))
        {
            violations.push(Violation::new(&package.name, format!("must not use {name} by itself")));
        }
    }
    violations
}

/// Whether the package ships: `crates/` and the root do, `testing/` and `xtask/` do not.
fn is_product(package: &Package) -> bool {
    let mut folders = package.manifest_path.ancestors().skip(1).filter_map(|folder| folder.file_name());
    folders.next() != Some("xtask".as_ref()) && folders.next() != Some("testing".as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    #[test]
    fn allowed_dependencies_pass() {
        let packages = [package(RETRY, &[]), package(CORE, &[(RETRY, None)]), package(JIRA, &[(CORE, None)])];
        assert_eq!(violations(&packages), []);
    }

    #[test]
    fn adapters_do_not_depend_on_each_other() {
        let packages = [package(JIRA, &[(SERVICENOW, None)]), package(SERVICENOW, &[])];
        assert_eq!(violations(&packages), [Violation::new(JIRA, "must not depend on ticketing-servicenow")]);
    }

    #[test]
    fn adapters_use_the_simulator_in_tests_only() {
        let simulator = package(SIMULATOR, &[]);
        let in_tests = [package(JIRA, &[(SIMULATOR, Some("dev"))]), simulator.clone()];
        assert_eq!(violations(&in_tests), []);
        let in_production = [package(JIRA, &[(SIMULATOR, None)]), simulator];
        assert_eq!(
            violations(&in_production),
            [Violation::new(JIRA, "must not depend on ticketing-simulator")]
        );
    }

    #[test]
    fn simulator_has_no_dependency_on_the_product() {
        let packages = [package(SIMULATOR, &[(CORE, Some("dev"))]), package(CORE, &[])];
        assert_eq!(violations(&packages), [Violation::new(SIMULATOR, "must not depend on ticketing-core")]);
    }

    #[test]
    fn only_the_store_uses_sqlx() {
        let packages = [package(STORE, &[("sqlx", None)]), package(CORE, &[("sqlx", None)])];
        assert_eq!(violations(&packages), [Violation::new(CORE, "must not use sqlx by itself")]);
    }

    #[test]
    fn unlisted_package_is_reported() {
        let found = violations(&[package("ticketing-common", &[])]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn shipped_packages_do_not_depend_on_testing() {
        let mut harness = package(HARNESS, &[]);
        harness.manifest_path = "testing/harness/Cargo.toml".into();
        let mut server = package(SERVER, &[(HARNESS, Some("dev"))]);
        server.manifest_path = "crates/server/Cargo.toml".into();
        assert_eq!(violations(&[server.clone(), harness.clone()]), []);
        server.dependencies[0].kind = None;
        let found = violations(&[server, harness]);
        assert!(found.contains(&Violation::new(
            SERVER,
            "ships, and must not depend on ticketing-harness, which does not"
        )));
    }

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency { name: (*name).to_owned(), kind: kind.map(str::to_owned) });
        Package {
            name: name.to_owned(),
            description: None,
            manifest_path: "Cargo.toml".into(),
            dependencies: dependencies.collect(),
        }
    }
}
