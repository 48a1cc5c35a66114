//! Environment variables whose names say that they hold a secret.

/// Words that stand for secrets anywhere in a name, once `_` is left out.
const ANYWHERE: [&str; 15] = [
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "APIKEY",
    "ACCESSKEY",
    "PRIVATEKEY",
    "SIGNINGKEY",
    "ENCRYPTIONKEY",
    "CONNECTIONSTRING",
    "COOKIE",
    "BEARER",
    "JWT",
];
/// Parts between `_` that stand for secrets.
const PARTS: [&str; 11] =
    ["KEY", "PAT", "PWD", "PASS", "AUTH", "DSN", "SAS", "PIN", "OTP", "SEED", "MNEMONIC"];
/// Whole names with such parts that hold no secret, and some that hold one without saying so.
const HARMLESS: [&str; 2] = ["PWD", "OLDPWD"];
const SECRET: [&str; 4] = ["DATABASE_URL", "REDIS_URL", "MONGODB_URI", "AMQP_URL"];

/// Whether the name of an environment variable says that its value is a secret. Those are refused
/// unless the grant says that the value is to be revealed, because a plugin that sees a value can
/// send it on.
#[must_use]
pub fn looks_like_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    if HARMLESS.contains(&name.as_str()) {
        return false;
    }
    let joined = name.replace('_', "");
    SECRET.contains(&name.as_str())
        || ANYWHERE.iter().any(|word| joined.contains(word))
        || name.split('_').any(|part| PARTS.contains(&part))
}
