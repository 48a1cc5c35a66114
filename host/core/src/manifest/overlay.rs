//! The operator's overlay over a manifest: it may tighten and never loosen, so that it can be
//! read without the manifest beside it.

use std::fmt::Display;

use toml::Spanned;

use super::{
    CapabilityRules, INVARIANTS_MAX, Manifest, Placement, UnknownInput,
    raw::{RawCapability, RawOverlay},
    validate,
};
use crate::{
    diagnostic::{Diagnostic, Source},
    limits::Limits,
};

pub(super) fn apply(
    source: &Source<'_>,
    manifest: &Manifest,
    raw: RawOverlay,
) -> Result<Manifest, Diagnostic> {
    let mut tightened = manifest.clone();
    let bound = manifest.limits.over(Limits::CEILING);
    tightened.limit_caps = raw.limits.validate_within(source, &bound, "what holds without it,")?;
    for (key, written) in &raw.capabilities {
        let name = validate::capability_key(source, key)?;
        // Read by itself first: every rule of a manifest holds for an overlay too.
        let wanted = validate::capability(source, key.span(), written)?;
        let own = tightened.capabilities.entry(name).or_default();
        *own = tighten(source, own, &wanted, written)?;
        if own.invariants.len() > INVARIANTS_MAX {
            let message = format!("with the manifest's there are more than {INVARIANTS_MAX}");
            return Err(source.error(key.span(), message));
        }
    }
    Ok(tightened)
}

fn tighten(
    source: &Source<'_>,
    own: &CapabilityRules,
    wanted: &CapabilityRules,
    written: &RawCapability,
) -> Result<CapabilityRules, Diagnostic> {
    let check = Check { source };
    let mut rules = own.clone();
    if let Some(place) = &written.modes {
        let fewer = wanted.modes.iter().all(|mode| own.modes.contains(mode));
        check.tightens(place, fewer, "modes", "name only modes that the manifest has")?;
        rules.modes.clone_from(&wanted.modes);
    }
    if let Some(place) = &written.risk {
        let higher = wanted.risk() >= own.risk();
        check.tightens(place, higher, "risk", "an overlay may only raise the risk")?;
        rules.risk = wanted.risk;
    }
    if let Some(place) = &written.read_only {
        let hint = "an overlay may only say that it does write";
        check.tightens(place, !wanted.read_only || own.read_only, "read_only", hint)?;
        rules.read_only = wanted.read_only;
    }
    if let Some(place) = &written.destructive {
        let hint = "an overlay may only say that it does delete";
        check.tightens(place, wanted.destructive || !own.destructive, "destructive", hint)?;
        rules.destructive = wanted.destructive;
        rules.read_only &= !wanted.destructive;
    }
    if let Some(place) = &written.idempotent {
        let hint = "an overlay may only say that it is not";
        check.tightens(place, !wanted.idempotent || own.idempotent, "idempotent", hint)?;
        rules.idempotent = wanted.idempotent;
    }
    if let Some(place) = &written.timeout_ms {
        let shorter = at_most(wanted.timeout_ms, own.timeout_ms);
        check.tightens(place, shorter, "timeout_ms", "an overlay may only shorten it")?;
        rules.timeout_ms = wanted.timeout_ms;
    }
    if let Some(place) = &written.unknown_input {
        let stricter = wanted.unknown_input == own.unknown_input
            || wanted.unknown_input == UnknownInput::Refuse;
        check.tightens(place, stricter, "unknown_input", "an overlay may only refuse")?;
        rules.unknown_input = wanted.unknown_input;
    }
    if written.path_parameters.is_some() {
        let more = wanted.path_parameters.iter().filter(|name| !own.path_parameters.contains(name));
        rules.path_parameters.extend(more.cloned());
    }
    tighten_calls(&check, own, wanted, written, &mut rules)?;
    for (invariant, place) in wanted.invariants.iter().zip(&written.invariants) {
        let new = own.invariants.iter().all(|other| other.id != invariant.id);
        let hint = "give the invariant an id that the manifest does not use";
        check.tightens(place, new, "invariants", hint)?;
        rules.invariants.push(invariant.clone());
    }
    Ok(rules)
}

/// Who may call, where and how often.
fn tighten_calls(
    check: &Check<'_>,
    own: &CapabilityRules,
    wanted: &CapabilityRules,
    written: &RawCapability,
    rules: &mut CapabilityRules,
) -> Result<(), Diagnostic> {
    if let Some(place) = &written.approval {
        let more = wanted.approval >= own.approval;
        check.tightens(place, more, "approval", "an overlay may only ask for more approval")?;
        rules.approval = wanted.approval;
    }
    if let Some(place) = &written.placement {
        let narrower = wanted.placement == own.placement || own.placement == Placement::Any;
        check.tightens(place, narrower, "placement", "only `any` can be narrowed")?;
        rules.placement = wanted.placement;
    }
    if let Some(place) = &written.trust_level {
        let higher = wanted.trust_level >= own.trust_level;
        check.tightens(place, higher, "trust_level", "an overlay may only ask for more trust")?;
        rules.trust_level = wanted.trust_level;
    }
    let Some(budget) = &written.budget else { return Ok(()) };
    let hint = "an overlay may only make a budget smaller";
    if let Some(place) = &budget.calls_per_correlation {
        let (new, old) = (wanted.budget.calls_per_correlation, own.budget.calls_per_correlation);
        check.tightens(place, at_most(new, old), "calls_per_correlation", hint)?;
        rules.budget.calls_per_correlation = new;
    }
    if let Some(place) = &budget.calls_per_day {
        let (new, old) = (wanted.budget.calls_per_day, own.budget.calls_per_day);
        check.tightens(place, at_most(new, old), "calls_per_day", hint)?;
        rules.budget.calls_per_day = new;
    }
    Ok(())
}

/// Whether the new bound is not above the old one; no old bound is above all.
fn at_most(new: Option<u64>, old: Option<u64>) -> bool {
    match (new, old) {
        (Some(new), Some(old)) => new <= old,
        (None, Some(_)) => false,
        (_, None) => true,
    }
}

struct Check<'source> {
    source: &'source Source<'source>,
}

impl Check<'_> {
    fn tightens<T>(
        &self,
        place: &Spanned<T>,
        tightens: bool,
        name: &str,
        hint: impl Display,
    ) -> Result<(), Diagnostic> {
        if tightens {
            return Ok(());
        }
        let message = format!("`{name}` would loosen what the manifest says");
        Err(self.source.error_with_hint(place.span(), message, hint))
    }
}
