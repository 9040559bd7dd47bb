//! Compiles the contract in `proto/` without protoc: descriptors by protox, Rust by tonic-prost-build.

use std::path::PathBuf;
use std::{env, error, fs};

use prost_types::FileDescriptorSet;

const CONTRACT: &str = "rhythmx/ticketing/v1/service.proto";
const ERROR_REASONS: &str = "rhythmx/ticketing/v1/error_reason.proto";

/// Messages whose `Debug` is written by hand, in `crates/contract/src/redacted.rs`, so that no log can hold their secrets.
const BEARERS_OF_SECRETS: [&str; 2] =
    ["rhythmx.ticketing.v1.JiraSettings", "rhythmx.ticketing.v1.ServiceNowSettings"];

fn main() -> Result<(), Box<dyn error::Error>> {
    // It is the build script of `crates/contract`.
    let proto = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", proto.display());
    let mut compiler = protox::Compiler::new([&proto])?;
    compiler.include_imports(true).include_source_info(true).open_files([CONTRACT, ERROR_REASONS])?;

    // Encoded by the compiler itself and not through prost-types, which would drop custom options.
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("rhythmx.ticketing.v1.bin"), compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        .skip_debug(BEARERS_OF_SECRETS)
        .build_client(env::var_os("CARGO_FEATURE_CLIENT").is_some())
        .build_server(env::var_os("CARGO_FEATURE_SERVER").is_some())
        .compile_fds(compiler.file_descriptor_set())?;
    fs::write(out_dir.join("methods.rs"), methods(&compiler.file_descriptor_set()))?;
    Ok(())
}

/// An enum of every method of the contract: a `match` on it must cover each.
fn methods(files: &FileDescriptorSet) -> String {
    let mut variants = String::new();
    let mut all = Vec::new();
    let mut paths = String::new();
    let mut streams = String::new();
    for file in &files.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                variants += &format!("    /// `{path}`\n    {},\n", method.name());
                paths += &format!("            Self::{} => \"{path}\",\n", method.name());
                streams +=
                    &format!("            Self::{} => {},\n", method.name(), method.server_streaming());
                all.push(format!("Self::{}", method.name()));
            }
        }
    }
    format!(
        "/// Every method of the contract.\n\
         #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]\n\
         pub enum Method {{\n{variants}}}\n\n\
         impl Method {{\n    pub const ALL: [Self; {}] = [{}];\n\n    \
             /// The path of its calls, for example `/rhythmx.ticketing.v1.TicketingService/Configure`.\n    \
             #[must_use]\n    pub const fn path(self) -> &'static str {{\n        match self {{\n{paths}        }}\n    }}\n\n    \
             /// Whether it answers with a stream of messages.\n    \
             #[must_use]\n    pub const fn is_stream(self) -> bool {{\n        match self {{\n{streams}        }}\n    }}\n}}\n",
        all.len(),
        all.join(", ")
    )
}
