//! The node's models: the bindings of `meshhost:inference/sessions`, shared by whoever uses them.

mod bindings {
    wit_bindgen::generate!({ path: "../../wit/inference/0.1.0", world: "imports" });
}

/// The generated types of `meshhost:inference/sessions@0.1.0`, for the `with` option of
/// [`plugin!`](crate::plugin).
pub use bindings::meshhost::inference::sessions;
