//! One code for every error that a person can meet, with the exit code of the command, the
//! denial code of the Capability Host Protocol where there is one, and the text of
//! `meshhost explain`.
//!
//! The numbers are frozen: a code is never reused, and a test holds the table.

use serde::{Deserialize, Serialize};

/// How a command ends. The numbers are part of the interface and frozen by a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// It worked.
    Success = 0,
    /// The plugin answered with its own error.
    PluginFailure = 1,
    /// The command line, a file or an input is not right.
    Usage = 2,
    /// Consent is needed and nobody could be asked.
    ConsentNeeded = 3,
    /// Policy, a permission or a gate refused.
    Denied = 4,
    /// A limit other than time ended it.
    Limit = 5,
    /// The deadline passed.
    Timeout = 6,
    /// No place was free; trying again may work.
    Busy = 7,
    /// The plugin trapped.
    Trap = 8,
    /// The plugin is disabled or in quarantine.
    Skipped = 9,
    /// An effect may have happened and its end is unknown.
    Indeterminate = 10,
    /// There is no such plugin, capability, version or record.
    NotFound = 11,
    /// The node or peer could not be reached.
    Unreachable = 12,
    /// The host itself failed.
    HostFault = 13,
    /// The evidence does not verify.
    EvidenceBroken = 14,
}

/// The facts about one code.
#[derive(Debug, Clone, Copy)]
pub struct CodeInfo {
    /// The code.
    pub code: Code,
    /// `MH` and four digits.
    pub number: &'static str,
    /// The short name, as it stands in JSON.
    pub name: &'static str,
    /// How a command that meets it ends.
    pub exit: Exit,
    /// The denial code in evidence: the protocol's own where it reserves one, else reverse-DNS.
    pub denial: &'static str,
    /// Whether trying the same again later may work.
    pub retryable: bool,
    /// One line: what happened.
    pub title: &'static str,
    /// What it means and what to do.
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $name:literal $exit:ident $denial:literal
        $retryable:literal : $title:literal, $explanation:literal;)*) => {
        /// Names one kind of error. In JSON it is its short name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $title] #[serde(rename = $name)] $variant,)*
        }

        /// Every code, in the order of the numbers.
        pub const ALL: &[CodeInfo] = &[
            $(CodeInfo {
                code: Code::$variant,
                number: $number,
                name: $name,
                exit: Exit::$exit,
                denial: $denial,
                retryable: $retryable,
                title: $title,
                explanation: $explanation,
            },)*
        ];

        impl Code {
            /// The facts about this code.
            #[must_use]
            pub const fn info(self) -> CodeInfo {
                match self {
                    $(Self::$variant => CodeInfo {
                        code: Self::$variant,
                        number: $number,
                        name: $name,
                        exit: Exit::$exit,
                        denial: $denial,
                        retryable: $retryable,
                        title: $title,
                        explanation: $explanation,
                    },)*
                }
            }
        }
    };
}

codes! {
    InvalidComponent = "MH0101" "invalid-component" Usage "dev.meshhost.invalid_component" false:
        "the file is not a component that can be installed",
        "The bytes are truncated, random, a core module, or use a feature that is switched off. \
         Build the plugin for wasm32-wasip2 (or wrap a module with an adapter) and install that file.";
    ComponentTooLarge = "MH0102" "component-too-large" Usage "dev.meshhost.component_too_large" false:
        "the component is larger, deeper or has more parts than the node accepts",
        "The node bounds size, nesting, functions, instances and types before it compiles. Make the \
         component smaller, or raise the bound in the node's configuration.";
    CompileLimit = "MH0103" "compile-limit" Limit "dev.meshhost.compile_limit" false:
        "compiling the component ran into its limits",
        "Compiling happens in a child process with bounds on memory, time and file size. A component \
         that needs more is either damaged or made to exhaust the compiler.";
    UnknownImport = "MH0104" "unknown-import" Usage "dev.meshhost.unknown_import" false:
        "the component imports something that this host does not have",
        "`meshhost plugin inspect FILE` lists each import as provided, grant needed, unknown or of \
         another version. Rebuild the plugin against an interface that is provided.";
    ReservedName = "MH0105" "reserved-name" Usage "dev.meshhost.reserved_name" false:
        "the plugin uses a name that is reserved",
        "`meshhost:` packages that are not shipped contracts, ids under `chp.` and names equal to \
         another plugin's package are refused. Rename the package, or give the plugin another name.";
    ConsentNeeded = "MH0106" "consent-needed" ConsentNeeded "dev.meshhost.consent_needed" false:
        "the plugin asks for something and nobody was there to agree",
        "Without a terminal nothing is granted silently. Run the printed command, which names every \
         grant, or pass --yes to grant exactly what the manifest asks for within the ceiling.";
    PluginExists = "MH0107" "plugin-exists" Usage "dev.meshhost.plugin_exists" false:
        "a plugin with this name is already installed",
        "The same name with another digest is an update: use `meshhost plugin update`, or install \
         under another name with --name.";
    UpdateStaged = "MH0108" "update-staged" ConsentNeeded "dev.meshhost.update_staged" false:
        "the update asks for more than the version that serves",
        "The old version keeps serving. Look at the difference and approve it with \
         `meshhost plugin update NAME --approve --digest DIGEST`.";
    NoRollback = "MH0109" "no-rollback" NotFound "dev.meshhost.no_rollback" false:
        "there is no earlier version to go back to",
        "A plugin keeps its previous version from its first update on.";
    ManifestInvalid = "MH0201" "manifest-invalid" Usage "dev.meshhost.manifest_invalid" false:
        "the plugin's manifest is not right",
        "The message shows the line and what is expected there. Unknown keys are refused, because a \
         key that nothing enforces would promise what is not kept.";
    ManifestTwice = "MH0202" "manifest-twice" Usage "dev.meshhost.manifest_twice" false:
        "there is a manifest inside the component and another beside it",
        "Consent binds one manifest. Remove the file beside the component, or build the component \
         without its own.";
    ConfigInvalid = "MH0203" "config-invalid" Usage "dev.meshhost.config_invalid" false:
        "a configuration file is not right",
        "The message shows file, line and a hint.";
    GrantInvalid = "MH0204" "grant-invalid" Usage "dev.meshhost.grant_invalid" false:
        "the permission is not written as one",
        "Permissions are written fs:ro=PATH, fs:git=PATH, fs:rw=PATH, net=https://HOST[:PORT][/PATH], \
         env=NAME, clock, random, kv=SIZE, index=SIZE, call=CAPABILITY, stdout=SIZE, log=SIZE.";
    GrantRefused = "MH0205" "grant-refused" Denied "dev.meshhost.grant_refused" false:
        "this grant cannot be given",
        "The folder holds or lies in the node's own data, the permission is above the node's ceiling, \
         or the manifest does not ask for it.";
    GrantSuspended = "MH0206" "grant-suspended" Denied "dev.meshhost.grant_suspended" false:
        "a granted folder is not the folder that was granted",
        "The path now leads to another folder (another device or inode). Look at it and grant it \
         again if it is right.";
    ModelInvalid = "MH0207" "model-invalid" Usage "dev.meshhost.model_invalid" false:
        "the model or its package is not right",
        "A package is a folder with `models.toml` and the files that it names: regular files in that very \
         folder, within the sizes of `[inference]` in the node's configuration. The message shows what is wrong.";
    RuntimeInvalid = "MH0208" "runtime-invalid" Usage "dev.meshhost.runtime_invalid" false:
        "the library that runs models cannot be installed",
        "It is no library of ONNX Runtime for this machine, too old, or crashes when it is loaded; or its folder holds \
         what is no regular file. The message shows what is wrong. Nothing was kept.";
    InputInvalid = "MH0301" "input-invalid" Usage "input_schema_validation_failed" false:
        "the input does not fit the capability",
        "`meshhost call CAPABILITY --help` shows the parameters with their types.";
    OutputInvalid = "MH0302" "output-invalid" PluginFailure "output_schema_validation_failed" false:
        "the plugin's output does not fit its own contract",
        "The plugin answered with something that its WIT type does not allow in JSON, such as NaN.";
    UsageError = "MH0303" "usage" Usage "dev.meshhost.usage" false:
        "the command is not written right",
        "`meshhost help COMMAND` shows how.";
    CapabilityNotFound = "MH0401" "capability-not-found" NotFound "capability_not_found" false:
        "there is no such capability on this node",
        "`meshhost capabilities` lists what is installed.";
    CapabilityVersion = "MH0402" "capability-version-unsupported" NotFound "capability_version_unsupported" false:
        "the capability is there, in another version",
        "The asked version range does not contain the installed version.";
    CapabilityDisabled = "MH0403" "capability-disabled" Skipped "capability_disabled" false:
        "the plugin is disabled",
        "`meshhost plugin enable NAME` lets it serve again.";
    Quarantined = "MH0404" "quarantined" Skipped "dev.meshhost.quarantined" true:
        "the plugin trapped too often in a row and rests",
        "It is tried again after the time in the message. `meshhost plugin enable NAME` ends the \
         quarantine at once.";
    UnsupportedMode = "MH0405" "unsupported-mode" Usage "unsupported_mode" false:
        "the capability cannot be called in this mode",
        "The descriptor lists the modes.";
    MandateInvalid = "MH0406" "mandate-invalid" Denied "mandate_invalid" false:
        "the mandate does not hold",
        "Mandates are checked where the call executes.";
    PolicyBlocked = "MH0407" "policy-blocked" Denied "policy_blocked" false:
        "this caller may not call this capability",
        "The caller's scope or risk ceiling does not reach it.";
    InvariantFailed = "MH0408" "invariant-failed" Denied "invariant_failed" false:
        "an invariant of the capability does not hold for this input",
        "The message names the invariant from the manifest.";
    BudgetExceeded = "MH0409" "budget-exceeded" Denied "budget_exceeded" true:
        "the budget for this capability is spent",
        "Budgets are counted per correlation, and per caller and day.";
    ApprovalRequired = "MH0410" "approval-required" Denied "approval_required" true:
        "this call needs an approval",
        "Nobody has approved it yet.";
    SafetyBlocked = "MH0411" "safety-blocked" Denied "safety_blocked" false:
        "the safety gate refused the call",
        "The assessment in evidence says why.";
    PermissionDenied = "MH0412" "permission-denied" Denied "dev.meshhost.permission_denied" false:
        "the plugin tried something that it was not granted",
        "The result lists what was denied during the call, each with the command that would grant it.";
    CallerConflict = "MH0413" "id-in-use" Denied "dev.meshhost.id_in_use" false:
        "the invocation or correlation id belongs to somebody else or to another input",
        "An invocation id names one call of one caller with one input. Use a new id.";
    EvidenceUnavailable = "MH0414" "evidence-unavailable" HostFault "dev.meshhost.evidence_unavailable" true:
        "the call was refused because it could not be written down",
        "No audit, no action: free disk space or repair the data directory.";
    Busy = "MH0415" "busy" Busy "dev.meshhost.busy" true:
        "no place was free for the call",
        "The plugin's or the node's concurrency is used up and the queue is full, or a nested call \
         would wait for its own chain.";
    CapabilityType = "MH0416" "capability-type-unsupported" NotFound "dev.meshhost.capability_type_unsupported" false:
        "the capability is there, and its type is another than the calling component was built against",
        "Update the plugin that calls or the plugin that provides it: both name the same version and \
         differ in parameters or results.";
    LimitMemory = "MH0501" "limit-memory" Limit "dev.meshhost.limit_memory" false:
        "the plugin used all memory that it may",
        "The limit is the sum over all its memories. Raise memory_bytes for the plugin if the work is sound.";
    LimitTable = "MH0502" "limit-table" Limit "dev.meshhost.limit_table" false:
        "the plugin used all table elements that it may", "Raise table_elements if the work is sound.";
    LimitInstances = "MH0503" "limit-instances" Limit "dev.meshhost.limit_instances" false:
        "the component has more core instances than it may", "Raise instances if the component is sound.";
    LimitFuel = "MH0504" "limit-fuel" Limit "dev.meshhost.limit_fuel" false:
        "the plugin spent all its fuel",
        "Fuel counts guest instructions. Raise fuel for the plugin if the work is sound.";
    LimitDeadline = "MH0505" "deadline" Timeout "dev.meshhost.deadline" false:
        "the deadline passed",
        "Give the call more time with --timeout, within the plugin's own limit.";
    LimitRecursion = "MH0506" "limit-recursion" Limit "dev.meshhost.limit_recursion" false:
        "the plugin recursed too deeply", "Its stack is exhausted.";
    LimitHostMemory = "MH0507" "limit-host-memory" Limit "dev.meshhost.limit_host_memory" false:
        "the plugin made the host hold too much for it", "Read and write in smaller pieces, or as a blob.";
    LimitHandles = "MH0508" "limit-handles" Limit "dev.meshhost.limit_handles" false:
        "the plugin holds too many open handles", "Close what is not used any more.";
    LimitHostCalls = "MH0509" "limit-host-calls" Limit "dev.meshhost.limit_host_calls" false:
        "the plugin made too many host calls", "Raise host_calls for the plugin if the work is sound.";
    LimitOutput = "MH0510" "limit-output" Limit "dev.meshhost.limit_output" false:
        "the plugin's output is larger than it may be", "Ask for less, or let the plugin return a blob.";
    LimitList = "MH0511" "limit-list-bytes" Limit "dev.meshhost.limit_list_bytes" false:
        "a list of bytes is larger than it may be", "Large data goes as a blob: `key=@file` on the command line.";
    LimitCallDepth = "MH0512" "limit-call-depth" Limit "dev.meshhost.limit_call_depth" false:
        "plugins call plugins too deeply", "Look for a cycle.";
    LimitKeyValue = "MH0513" "limit-key-value" Limit "dev.meshhost.limit_key_value" false:
        "the plugin's key-value store is full", "Grant more with kv=SIZE, or let it delete.";
    LimitBlob = "MH0514" "limit-blob" Limit "dev.meshhost.limit_blob" false:
        "the call or the node may not write more blob bytes", "Raise blob_bytes, or unpin blobs.";
    LimitIndex = "MH0515" "limit-index" Limit "dev.meshhost.limit_index" false:
        "the plugin's documents to search in are full", "Grant more with index=SIZE, or let it delete.";
    PluginFailure = "MH0601" "plugin-failure" PluginFailure "dev.meshhost.plugin_failure" false:
        "the plugin answered with an error of its own", "The error data is the plugin's.";
    Trap = "MH0602" "trap" Trap "dev.meshhost.trap" false:
        "the plugin trapped",
        "It stopped in the middle: an assertion, an access outside its memory, or an unreachable \
         instruction. What was denied during the call is listed with the result.";
    Indeterminate = "MH0603" "indeterminate" Indeterminate "dev.meshhost.indeterminate" false:
        "an effect may have happened and its end is unknown",
        "The call was ended while a write or a request was in flight, or the node stopped. Look before \
         you repeat it.";
    Cancelled = "MH0604" "cancelled" PluginFailure "dev.meshhost.cancelled" false:
        "the caller went away and the call was cancelled", "Nothing is to be done.";
    PeerProtocol = "MH0605" "peer-protocol" Unreachable "dev.meshhost.peer_protocol" false:
        "a peer sent something that is not the protocol",
        "The connection, or the call, was ended. Both nodes need a meshhost that speaks the same version of the \
         protocol; when they do, the peer is not what it says.";
    StoreLocked = "MH0701" "store-locked" Busy "dev.meshhost.store_locked" true:
        "the data directory is in use by another process", "The message names the process that holds it.";
    StoreMode = "MH0702" "store-mode" HostFault "dev.meshhost.store_mode" false:
        "the data directory can be read or written by others", "Run `chmod 700` on it.";
    StoreNewer = "MH0703" "store-newer" HostFault "dev.meshhost.store_newer" false:
        "the data directory was written by a newer meshhost", "Use that version; there is no way back.";
    StoreFault = "MH0704" "store-fault" HostFault "dev.meshhost.store_fault" true:
        "the store could not be read or written",
        "The message says what was tried. The disk may be broken, or a file is not what was written.";
    EvidenceBroken = "MH0705" "evidence-broken" EvidenceBroken "dev.meshhost.evidence_broken" false:
        "the evidence does not verify",
        "The first wrong event is named. Keep the data directory as it is and compare with a head kept elsewhere.";
    StoreNetwork = "MH0706" "store-network" HostFault "dev.meshhost.store_network" false:
        "the data directory lies on a network file system", "Locks and durability do not hold there. Use a local disk.";
    StoreFull = "MH0707" "store-full" HostFault "dev.meshhost.store_full" true:
        "the disk of the data directory is full",
        "Nothing was changed. Make space and try again; a node that serves goes on by itself.";
    StoreReadOnly = "MH0708" "store-read-only" HostFault "dev.meshhost.store_read_only" false:
        "the data directory cannot be written",
        "Its disk is mounted read-only, or its modes keep its own user from writing. Even reading commands \
         take its lock.";
    NotFound = "MH0801" "not-found" NotFound "dev.meshhost.not_found" false:
        "there is no such thing", "The message says what was looked for.";
    NodeUnreachable = "MH0802" "node-unreachable" Unreachable "host_unreachable" true:
        "the node could not be reached", "Is `meshhost serve` running with the same data directory?";
    NotAllowed = "MH0803" "not-allowed" Denied "dev.meshhost.not_allowed" false:
        "this connection may not do that", "Only the node's own user may administer it.";
    HostFault = "MH0901" "host-fault" HostFault "dev.meshhost.host_fault" true:
        "the host itself failed", "This is a defect of meshhost or of the machine. The log of the node says more.";
    RootRefused = "MH0902" "root-refused" Usage "dev.meshhost.root_refused" false:
        "the node does not run as root", "Start it as an ordinary user, or pass --allow-root when there is none.";
    NoCommunity = "MH1001" "no-community" NotFound "dev.meshhost.no_community" false:
        "this node belongs to no community",
        "`meshhost mesh init` begins one; `meshhost mesh join < TICKET` enters one.";
    CommunityExists = "MH1002" "community-exists" Usage "dev.meshhost.community_exists" false:
        "this node belongs to a community already",
        "A node belongs to one community at a time: `meshhost mesh leave` leaves it.";
    MeshAddress = "MH1003" "mesh-address" Usage "dev.meshhost.mesh_address" false:
        "the mesh cannot listen there",
        "Name another address with --listen: IP:PORT, or the name of a network interface and a port.";
    TicketInvalid = "MH1004" "ticket-invalid" Usage "dev.meshhost.ticket_invalid" false:
        "this is no ticket, or no name, of the mesh",
        "A ticket is one line that `meshhost mesh init` or `meshhost mesh ticket` prints. It is read \
         from standard input or from a file.";
    PeerRefused = "MH1005" "peer-refused" Denied "dev.meshhost.peer_refused" false:
        "the other node does not let this one in",
        "It says no more on purpose. The ticket may have expired, be used up or cancelled, or this \
         node was revoked: ask whoever runs the other node.";
    PeerUnreachable = "MH1006" "peer-unreachable" Unreachable "host_unreachable" true:
        "no node that could run the call can be reached",
        "`meshhost mesh status` shows who is connected; `meshhost mesh netcheck` tries the addresses.";
    MeshNotAllowed = "MH1007" "mesh-not-allowed" Denied "dev.meshhost.mesh_not_allowed" false:
        "this node may not say that in its community",
        "Trusted members and anchors let others in; anchors say who is trusted, and revoke.";
}

impl Code {
    /// `MH` and four digits.
    #[must_use]
    pub const fn number(self) -> &'static str {
        self.info().number
    }

    /// How a command that meets this code ends.
    #[must_use]
    pub const fn exit(self) -> Exit {
        self.info().exit
    }

    /// The code with this number (`MH0412`, any case) or short name.
    #[must_use]
    pub fn find(text: &str) -> Option<CodeInfo> {
        ALL.iter().find(|info| info.number.eq_ignore_ascii_case(text) || info.name == text).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_in_order() {
        let numbers: Vec<_> = ALL.iter().map(|info| info.number).collect();
        let sorted: BTreeSet<_> = numbers.iter().copied().collect();
        assert_eq!(numbers, sorted.into_iter().collect::<Vec<_>>());
        let names: BTreeSet<_> = ALL.iter().map(|info| info.name).collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn every_code_is_found_by_number_and_by_name() {
        for info in ALL {
            assert_eq!(Code::find(info.number).map(|found| found.code), Some(info.code));
            assert_eq!(Code::find(info.name).map(|found| found.code), Some(info.code));
            assert_eq!(serde_json::json!(info.code), info.name);
            assert!(!info.title.is_empty() && !info.explanation.is_empty());
        }
    }

    #[test]
    fn the_exit_table_is_frozen() {
        let table: Vec<(u8, &str)> = vec![
            (Exit::Success as u8, "success"),
            (Exit::PluginFailure as u8, "plugin failure"),
            (Exit::Usage as u8, "usage"),
            (Exit::ConsentNeeded as u8, "consent needed"),
            (Exit::Denied as u8, "denied"),
            (Exit::Limit as u8, "limit"),
            (Exit::Timeout as u8, "timeout"),
            (Exit::Busy as u8, "busy"),
            (Exit::Trap as u8, "trap"),
            (Exit::Skipped as u8, "skipped"),
            (Exit::Indeterminate as u8, "indeterminate"),
            (Exit::NotFound as u8, "not found"),
            (Exit::Unreachable as u8, "unreachable"),
            (Exit::HostFault as u8, "host fault"),
            (Exit::EvidenceBroken as u8, "evidence broken"),
        ];
        let numbers: Vec<u8> = table.iter().map(|row| row.0).collect();
        assert_eq!(numbers, (0..=14).collect::<Vec<u8>>());
    }
}
