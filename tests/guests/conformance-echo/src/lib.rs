//! Gives back what it is given, or fails with it.

meshhost_sdk::plugin!({ path: "wit", world: "provider" });

struct Echo;

export!(Echo with_types_in bindings);

impl bindings::Guest for Echo {
    fn echo(message: String) -> String {
        message
    }

    fn fail(message: String) -> Result<String, String> {
        Err(message)
    }
}
