//! The software bill of materials of a release, in CycloneDX's JSON, from the packages that cargo has
//! resolved and locked.
//!
//! It contains no time and no random number, so that the same lock file generates the same document. Packages
//! in the program are `required`; those that only helped to build it (build scripts, macros, and what those
//! need) are `excluded`, which is CycloneDX's term for what is not present at run time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::env;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::workspace::Workspace;

/// The released package, and its target platform.
const PACKAGE: &str = "ticketing-server";
const PROGRAM: &str = "ticketing";
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    /// Absent for packages of this workspace.
    source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDependency>,
}

#[derive(Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// Absent for a normal one; else "dev" or "build".
    kind: Option<String>,
}

/// The packages of the program.
struct Parts<'a> {
    packages: HashMap<&'a str, &'a Package>,
    nodes: HashMap<&'a str, &'a Node>,
    linked: BTreeSet<&'a str>,
    /// The linked ones, too.
    all: BTreeSet<&'a str>,
}

/// The bill of materials.
pub(crate) fn bill(workspace: &Workspace) -> Result<Value> {
    let metadata = metadata()?;
    let lock = fs::read_to_string(workspace.root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let checksums = checksums(&lock);
    let parts = Parts::of(&metadata)?;
    let root = parts.root()?;
    let components = parts.all.iter().filter(|id| **id != root.id).map(|id| parts.component(id, &checksums));
    let mut components: Vec<Value> = components.collect();
    components.sort_by_key(|component| component["bom-ref"].as_str().map(str::to_owned));
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": {
            "type": "application",
            "bom-ref": root.purl(),
            "name": PROGRAM,
            "version": root.version,
            "purl": root.purl(),
            "licenses": root.licenses(),
        } },
        "components": components,
        "dependencies": parts.dependencies(),
    }))
}

fn metadata() -> Result<Metadata> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform", PLATFORM])
        .output()
        .context("cargo does not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata failed: {said}");
    serde_json::from_slice(&output.stdout).context("cargo metadata answers something else than its format 1")
}

/// SHA-256 of the packages' archives, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let field = |package: &str, name: &str| {
        let value =
            |line: &str| Some(line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned());
        package.lines().find_map(value)
    };
    let read = |package: &str| {
        let (name, version) = (field(package, "name")?, field(package, "version")?);
        Some(((name, version), field(package, "checksum")?))
    };
    lock.split("[[package]]").filter_map(read).collect()
}

// === impl Parts ===

impl<'a> Parts<'a> {
    fn of(metadata: &'a Metadata) -> Result<Self> {
        let packages = metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let nodes = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut parts = Self { packages, nodes, linked: BTreeSet::new(), all: BTreeSet::new() };
        let root = parts.root()?.id.as_str();
        parts.linked = parts.reach(root, true);
        parts.all = parts.reach(root, false);
        Ok(parts)
    }

    fn root(&self) -> Result<&'a Package> {
        let mut packages = self.packages.values();
        packages
            .find(|package| package.name == PACKAGE)
            .copied()
            .context("the server is not in the workspace")
    }

    /// What is needed, at run time or at all. Test dependencies are neither.
    fn reach(&self, root: &'a str, linked: bool) -> BTreeSet<&'a str> {
        let (mut found, mut left) = (BTreeSet::new(), vec![root]);
        while let Some(id) = left.pop() {
            if linked && self.packages[id].is_macro() || !found.insert(id) {
                continue;
            }
            let wanted = |dependency: &&NodeDependency| {
                dependency.dep_kinds.iter().any(|kind| match kind.kind.as_deref() {
                    None => true,
                    Some("build") => !linked,
                    Some(_) => false,
                })
            };
            left.extend(self.nodes[id].deps.iter().filter(wanted).map(|dependency| dependency.pkg.as_str()));
        }
        found
    }

    fn component(&self, id: &str, checksums: &BTreeMap<(String, String), String>) -> Value {
        let package = self.packages[id];
        let scope = if self.linked.contains(id) { "required" } else { "excluded" };
        let mut component = json!({
            "type": "library",
            "bom-ref": package.purl(),
            "name": package.name,
            "version": package.version,
            "scope": scope,
            "purl": package.purl(),
            "licenses": package.licenses(),
        });
        if let Some(hash) = checksums.get(&(package.name.clone(), package.version.clone())) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": hash }]);
        }
        if let Some(url) = package.source.as_ref().and(package.repository.as_ref()) {
            component["externalReferences"] = json!([{ "type": "vcs", "url": url }]);
        }
        component
    }

    fn dependencies(&self) -> Vec<Value> {
        let mut dependencies = BTreeMap::new();
        for id in &self.all {
            let known = |dependency: &&NodeDependency| self.all.contains(dependency.pkg.as_str());
            let purl = |dependency: &NodeDependency| self.packages[dependency.pkg.as_str()].purl();
            let needs: BTreeSet<String> = self.nodes[id].deps.iter().filter(known).map(purl).collect();
            dependencies.insert(self.packages[id].purl(), needs);
        }
        dependencies.into_iter().map(|(purl, needs)| json!({ "ref": purl, "dependsOn": needs })).collect()
    }
}

// === impl Package ===

impl Package {
    /// Our packages are in no registry: their addresses only distinguish them.
    fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version.replace('+', "%2B"))
    }

    /// Old packages write a slash for "or".
    fn licenses(&self) -> Value {
        match &self.license {
            Some(license) => json!([{ "expression": license.replace('/', " OR ").replace("  ", " ") }]),
            None => json!([]),
        }
    }

    fn is_macro(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }
}

#[cfg(test)]
#[path = "sbom_tests.rs"]
mod tests;
