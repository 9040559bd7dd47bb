use super::*;

fn bill_of_this() -> Value {
    bill(&Workspace::find().unwrap()).unwrap()
}

fn components(bill: &Value) -> Vec<&Value> {
    bill["components"].as_array().unwrap().iter().collect()
}

/// The packages that cargo itself reports as linked into the program: `name vVERSION`, one per line.
fn linked() -> BTreeSet<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["tree", "--locked", "--package", PACKAGE, "--target", PLATFORM];
    let output = Command::new(cargo)
        .args(arguments)
        .args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let name = |line: &str| {
        Some(line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).filter(|l| !l.is_empty())
    };
    String::from_utf8(output.stdout).unwrap().lines().filter_map(name).collect()
}

#[test]
fn sbom_lists_every_linked_crate() {
    let bill = bill_of_this();
    let required = |component: &&&Value| component["scope"] == "required";
    let components = components(&bill);
    let of = |component: &&Value| {
        format!("{} v{}", component["name"].as_str().unwrap(), component["version"].as_str().unwrap())
    };
    let mut named: BTreeSet<String> = components.iter().filter(required).map(of).collect();
    named.insert(format!("{PACKAGE} v{}", bill["metadata"]["component"]["version"].as_str().unwrap()));
    let missing: Vec<String> = linked().difference(&named).cloned().collect();
    assert_eq!(missing, [""; 0]);
    assert!(named.len() > 150, "{}", named.len());
    for component in components {
        assert!(!component["licenses"].as_array().unwrap().is_empty(), "{component}");
        let ours = component["externalReferences"].is_null() && component["hashes"].is_null();
        let name = component["name"].as_str().unwrap();
        let known = name.starts_with("ticketing-") || name == "rhythmx-ticketing";
        assert_eq!(ours, known, "{component}");
        assert!(ours || component["hashes"][0]["content"].as_str().unwrap().len() == 64, "{component}");
    }
}

#[test]
fn sbom_omits_build_and_test_dependencies() {
    let bill = bill_of_this();
    let components = components(&bill);
    let scope =
        |name: &str| components.iter().find(|component| component["name"] == name).map(|c| &c["scope"]);
    assert_eq!(scope("protox"), Some(&json!("excluded")));
    assert_eq!(scope("thiserror-impl"), Some(&json!("excluded")));
    assert_eq!(scope("tokio"), Some(&json!("required")));
    assert_eq!(scope("proptest"), None);
    assert_eq!(scope("ticketing-harness"), None);
}

#[test]
fn sbom_references_resolve_and_are_reproducible() {
    let bill = bill_of_this();
    let mut known: BTreeSet<&str> =
        components(&bill).iter().map(|component| component["bom-ref"].as_str().unwrap()).collect();
    known.insert(bill["metadata"]["component"]["bom-ref"].as_str().unwrap());
    for entry in bill["dependencies"].as_array().unwrap() {
        assert!(known.contains(entry["ref"].as_str().unwrap()), "{entry}");
        for needed in entry["dependsOn"].as_array().unwrap() {
            assert!(known.contains(needed.as_str().unwrap()), "{entry}");
        }
    }
    assert_eq!(bill, bill_of_this());
}
