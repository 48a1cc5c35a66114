use super::*;
use crate::{
    capability::ExportPath,
    invocation::{EntranceKind, Scope, Subject},
};

#[derive(Debug, Default)]
struct Checks {
    invariant_fails: bool,
    schema_fails: bool,
}

impl InputChecks for Checks {
    fn invariants(&self, _: &Value) -> Result<(), Refusal> {
        if self.invariant_fails {
            return Err(Refusal::new(Code::InvariantFailed, "invariant"));
        }
        Ok(())
    }

    fn schema(&self, _: &Value) -> Result<(), Refusal> {
        if self.schema_fails {
            return Err(Refusal::new(Code::InputInvalid, "schema"));
        }
        Ok(())
    }
}

fn provider() -> Provider {
    let id: CapabilityId = "git.log".parse().unwrap();
    Provider {
        plugin: "git".parse().unwrap(),
        component: Digest::of(b"git"),
        capability: Arc::new(Capability {
            id: id.clone(),
            long_id: "git.repository.log".parse().unwrap(),
            version: semver::Version::new(0, 1, 2),
            description: String::new(),
            input_schema: json!({}),
            output_schema: json!({}),
            error_schema: None,
            type_hash: None,
            function_type: None,
            export: ExportPath { interface: None, function: "log".to_owned() },
        }),
        modes: vec![Mode::Sync],
        risk: Risk::Medium,
        budget: Budget::default(),
        approval_required: false,
        limits: Limits::DEFAULT,
    }
}

fn invocation() -> Invocation {
    Invocation {
        invocation_id: "i".parse().unwrap(),
        correlation_id: "c".parse().unwrap(),
        causation_id: None,
        capability: "git.log".parse().unwrap(),
        version: None,
        type_hash: None,
        plugin: None,
        subject: Subject { id: "local:me".into(), kind: "user".into(), verified: true },
        asserted_caller: None,
        entrance: EntranceKind::CommandLine,
        scope: Scope::owner(),
        mode: Mode::Sync,
        input: json!({}),
        timeout_ms: None,
        fuel: None,
        output_bytes: None,
        depth: 1,
        chain: Vec::new(),
        hops: Vec::new(),
        working_folder: None,
    }
}

const SERVING: Facts =
    Facts { state: ServingState::Serving, spent: Spent { in_correlation: 0, today: 0 } };

fn decided(invocation: Invocation, provider: &Provider, checks: &Checks) -> Decision {
    decide(&Arc::new(invocation), provider, SERVING, checks)
}

fn in_state(state: ServingState) -> (Gate, Code) {
    let facts = Facts { state, ..SERVING };
    denied(decide(&Arc::new(invocation()), &provider(), facts, &Checks::default()))
}

fn denied(decision: Decision) -> (Gate, Code) {
    match decision {
        Decision::Denied(gate, refusal) | Decision::Skipped(gate, refusal) => (gate, refusal.code),
        Decision::Permit(_) => panic!("it was let through"),
    }
}

#[test]
fn a_plain_call_is_permitted_with_the_shorter_deadline() {
    let call = Invocation { timeout_ms: Some(5), ..invocation() };
    let Decision::Permit(permit) = decided(call, &provider(), &Checks::default()) else {
        panic!("it was refused");
    };
    assert_eq!(permit.limits().deadline_ms, 5);
    let call = Invocation { timeout_ms: Some(u64::MAX), ..invocation() };
    let Decision::Permit(permit) = decided(call, &provider(), &Checks::default()) else {
        panic!("it was refused");
    };
    assert_eq!(permit.limits().deadline_ms, Limits::DEFAULT.deadline_ms);
}

#[test]
fn every_gate_refuses_with_its_own_code() {
    let good = Checks::default();
    let case =
        |provider: Provider, checks: &Checks| denied(decided(invocation(), &provider, checks));
    let table = [
        (in_state(ServingState::Disabled), (Gate::Enabled, Code::CapabilityDisabled)),
        (
            in_state(ServingState::Quarantined { retry_after_ms: 1 }),
            (Gate::Enabled, Code::Quarantined),
        ),
        (in_state(ServingState::Suspended), (Gate::Enabled, Code::GrantSuspended)),
        (
            case(Provider { modes: vec![Mode::Stream], ..provider() }, &good),
            (Gate::Mode, Code::UnsupportedMode),
        ),
        (
            case(Provider { risk: Risk::Critical, ..provider() }, &good),
            (Gate::Policy, Code::PolicyBlocked),
        ),
        (
            case(provider(), &Checks { invariant_fails: true, ..Checks::default() }),
            (Gate::Invariants, Code::InvariantFailed),
        ),
        (
            case(Provider { approval_required: true, ..provider() }, &good),
            (Gate::Autonomy, Code::ApprovalRequired),
        ),
        (
            case(provider(), &Checks { schema_fails: true, ..Checks::default() }),
            (Gate::InputSchema, Code::InputInvalid),
        ),
    ];
    for (found, wanted) in table {
        assert_eq!(found, wanted);
    }
}

#[test]
fn the_earlier_gate_speaks_first() {
    let worst =
        Provider { modes: Vec::new(), risk: Risk::Critical, approval_required: true, ..provider() };
    let checks = Checks { invariant_fails: true, schema_fails: true };
    let disabled = Facts { state: ServingState::Disabled, ..SERVING };
    let decision = decide(&Arc::new(invocation()), &worst, disabled, &checks);
    assert_eq!(denied(decision).0, Gate::Enabled);
    assert_eq!(denied(decided(invocation(), &worst, &checks)).0, Gate::Mode);
    let worst = Provider { modes: vec![Mode::Sync], ..worst };
    assert_eq!(denied(decided(invocation(), &worst, &checks)).0, Gate::Policy);
    let worst = Provider { risk: Risk::Low, ..worst };
    assert_eq!(denied(decided(invocation(), &worst, &checks)).0, Gate::Invariants);
    let checks = Checks { invariant_fails: false, ..checks };
    assert_eq!(denied(decided(invocation(), &worst, &checks)).0, Gate::Autonomy);
}

#[test]
fn budgets_count_started_calls() {
    let budget = Budget { calls_per_correlation: Some(2), calls_per_day: Some(5) };
    let limited = Provider { budget, ..provider() };
    let with = |in_correlation, today| {
        let spent = Spent { in_correlation, today };
        let facts = Facts { spent, ..SERVING };
        decide(&Arc::new(invocation()), &limited, facts, &Checks::default())
    };
    assert!(matches!(with(1, 4), Decision::Permit(_)));
    assert_eq!(denied(with(2, 0)), (Gate::Autonomy, Code::BudgetExceeded));
    assert_eq!(denied(with(0, 5)), (Gate::Autonomy, Code::BudgetExceeded));
}

#[test]
fn scope_narrows_along_the_chain() {
    let rule = |capability: &str| CallRule { capability: capability.into(), arguments: Vec::new() };
    let through = |lists: Vec<Vec<CallRule>>| {
        let scope = Scope { through: lists, ..Scope::owner() };
        decided(Invocation { scope, ..invocation() }, &provider(), &Checks::default())
    };
    assert!(matches!(through(vec![vec![rule("git.*")]]), Decision::Permit(_)));
    assert!(matches!(through(vec![vec![rule("x"), rule("git.log")]]), Decision::Permit(_)));
    assert!(matches!(through(vec![vec![rule("git.repository.log")]]), Decision::Permit(_)));
    let blocked = (Gate::Policy, Code::PolicyBlocked);
    assert_eq!(denied(through(vec![vec![rule("git.*")], vec![rule("x.*")]])), blocked);
    assert_eq!(denied(through(vec![Vec::new()])), blocked);
}

#[test]
fn arguments_that_a_plugin_above_has_fixed_stay_fixed_below_it() {
    let fixed = |glob: &str| CallRule {
        capability: "git.log".into(),
        arguments: vec![("path".to_owned(), glob.to_owned())],
    };
    let with = |through: Vec<Vec<CallRule>>| {
        let scope = Scope { through, ..Scope::owner() };
        let input = json!({ "path": "/srv/notes" });
        decided(Invocation { scope, input, ..invocation() }, &provider(), &Checks::default())
    };
    assert!(matches!(with(vec![vec![fixed("/etc/**"), fixed("/srv/**")]]), Decision::Permit(_)));
    let blocked = (Gate::Policy, Code::PolicyBlocked);
    assert_eq!(denied(with(vec![vec![fixed("/etc/**")], vec![fixed("/srv/**")]])), blocked);
}

#[test]
fn resolution_tells_absence_from_another_version() {
    let providers = [provider()];
    let code =
        |call: &Invocation| resolve(call.into(), providers.iter()).map_err(|error| error.code);
    assert_eq!(code(&invocation()), Ok(0));
    let other_plugin = Invocation { plugin: Some("other".parse().unwrap()), ..invocation() };
    assert_eq!(code(&other_plugin), Err(Code::CapabilityNotFound));
    let range = |text: &str| Invocation { version: Some(text.parse().unwrap()), ..invocation() };
    assert_eq!(code(&range("^0.1")), Ok(0));
    assert_eq!(code(&range("^0.2")), Err(Code::CapabilityVersion));
    let nobody = resolve((&invocation()).into(), std::iter::empty());
    assert_eq!(nobody.map_err(|error| error.code), Err(Code::CapabilityNotFound));
}
